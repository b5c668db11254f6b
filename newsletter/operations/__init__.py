"""What the service does by itself beside sending: ticks, alerts, notices, retention."""
