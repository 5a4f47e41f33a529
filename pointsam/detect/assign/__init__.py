"""Which place of a detector answers for which object: boxes and clusters together (method.md B.5 to B.8)."""
