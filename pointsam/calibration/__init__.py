"""Errors of a calibration: put in to see what they cost, and found from the data to take them out."""
