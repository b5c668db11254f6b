"""The coming weeks played through in memory: `newsletter simulate`."""
