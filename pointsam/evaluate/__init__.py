"""Metrics of labels and detections; each module specifies its metric in its docstring."""
