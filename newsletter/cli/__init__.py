"""The command line: it reads by store queries and writes only through flows."""
