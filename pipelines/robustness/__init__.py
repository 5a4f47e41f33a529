"""Calibration errors: sweeps over them, and finding them."""
