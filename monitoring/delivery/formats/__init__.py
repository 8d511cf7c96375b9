"""Formats: one event as the request that each kind of channel takes. No I/O; one file for each."""
