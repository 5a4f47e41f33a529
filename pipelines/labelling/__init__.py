"""`pointsam-label run`, `masks` and `clusters`: staged, resumable batch jobs."""
