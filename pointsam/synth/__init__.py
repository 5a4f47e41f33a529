"""Synthetic nuScenes roots with ground truth for every pixel and point."""
