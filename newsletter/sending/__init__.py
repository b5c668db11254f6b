"""Sending: claims, connections, outcomes."""
