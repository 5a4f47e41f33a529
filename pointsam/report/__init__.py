"""Pictures of frames and their labels."""
