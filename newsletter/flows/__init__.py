"""What a person asks for: one verb a file, one transaction."""
