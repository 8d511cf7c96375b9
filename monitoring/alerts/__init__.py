"""Alerts: one for one cause, counted while it lasts, told to people once for each change."""
