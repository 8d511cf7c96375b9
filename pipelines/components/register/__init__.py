"""Registers the bundle as a new model version."""
