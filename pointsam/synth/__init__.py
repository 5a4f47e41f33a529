"""A synthetic world as a measured instrument: nuScenes roots whose every pixel and point is known."""
