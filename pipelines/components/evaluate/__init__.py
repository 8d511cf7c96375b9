"""Measures the model, and the recipe over several seeds."""
