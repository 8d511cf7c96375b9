"""Finds the best parameters."""
