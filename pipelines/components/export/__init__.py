"""Exports the model, proves the export equal to it, and writes the bundle."""
