"""Promptable segmenters: image and prompts in, compressed masks out."""
