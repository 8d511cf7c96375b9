"""Estimators that workloads are made of: featurisers, trees, and the ONNX graphs they become."""
