"""Errors of a calibration: simulated to measure their effect, and estimated from data to correct them."""
