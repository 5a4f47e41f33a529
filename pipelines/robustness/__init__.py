"""Calibration errors: sweeps over them, and their estimation."""
