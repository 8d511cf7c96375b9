"""Brings the workload's data onto the machine."""
