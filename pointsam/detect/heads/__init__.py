"""Heads, from a feature map to boxes: centre head, anchor head, and a second stage for either."""
