"""What the webhooks of mail providers say, one file for each provider, and the value that all of them become."""
