"""Staged batch jobs that compose the library, and the command line."""
