"""The work of the service beside sending: ticks, alerts, notices, retention."""
