"""Serving on one machine: processes kept by supervisor, their ports and their state."""
