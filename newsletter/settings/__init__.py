"""The settings: their model, the values they accept, how they are read, and what they say of each relay."""
