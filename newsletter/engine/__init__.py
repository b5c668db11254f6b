"""What the machine does by itself: the tick, and the sending."""
