"""Tracks: the labels of a scene, frame by frame, joined over time (docs/tracks.md)."""
