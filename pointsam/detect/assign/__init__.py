"""Label assignment: which location, anchor or proposal is trained for which box or cluster (method.md B.5 to B.8)."""
