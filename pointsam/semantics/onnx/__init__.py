"""ONNX detectors: described by a small file (docs/onnx.md), decoded here, and run by onnxruntime."""
