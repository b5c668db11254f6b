"""One tip a week, to every subscriber, every Tuesday, and a report that adds up."""

__version__ = "0.1.0"
