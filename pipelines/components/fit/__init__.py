"""Fits the final model on the best parameters."""
