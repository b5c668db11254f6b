"""A simulation of the coming weeks in memory: `newsletter simulate`."""
