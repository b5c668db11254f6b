"""What is served: the opt-out page and a health check."""
