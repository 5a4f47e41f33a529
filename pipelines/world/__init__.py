"""Synthetic data sets and the demo."""
