"""Evaluation that can be believed: the figure of record over several splits, and details on the run's own."""
