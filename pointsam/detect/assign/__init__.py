"""Label assignment: which location, anchor or proposal is trained for which object (docs/method.md B.5 to B.8)."""
