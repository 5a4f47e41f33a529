"""From a map to boxes: centres, anchors, and a second stage on either."""
