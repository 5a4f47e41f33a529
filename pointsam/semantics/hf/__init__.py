"""Detectors of transformers (docs/classes_hf.md): those with labels of their own, and those that are asked in words."""
