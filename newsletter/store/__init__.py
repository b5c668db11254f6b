"""The database. Rows stay here: what leaves are the frozen values of `core/`."""
