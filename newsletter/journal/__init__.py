"""The journal of a sending process: what was handed to a connection, and what came back."""
