"""What class is where in an image."""
