"""Metrics of labels and of predictions; each module specifies its metric in its docstring."""
