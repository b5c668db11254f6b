"""Calls the tick every few seconds; it decides nothing."""
