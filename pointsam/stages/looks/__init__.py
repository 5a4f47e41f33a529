"""Second looks: the 2D models are asked again where LiDAR or tracks say that an object may be (docs/looks.md)."""
