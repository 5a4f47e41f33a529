"""Data sets on disk. A module is a data set: its name is what the user types."""
