"""A bell that rings every few seconds; it decides nothing."""
