"""What tests, the demo and the simulation share: clocks, and a mail server that keeps every message."""
