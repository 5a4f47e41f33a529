"""Detectors of torchvision as a source of classes (docs/torchvision.md)."""
