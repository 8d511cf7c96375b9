"""Answers in this process: which bundles are held, and the Open Inference Protocol with no server behind."""
