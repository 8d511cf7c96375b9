"""Writes down how a run on a cluster ended."""
