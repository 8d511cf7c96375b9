"""Checks: what the gateway's own figures tell between two drift runs."""
