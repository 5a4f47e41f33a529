"""3D detection trained on coarse labels."""
