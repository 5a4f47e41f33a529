"""Data sets in other layouts."""
