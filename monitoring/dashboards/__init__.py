"""Grafana's dashboards: made by `python -m monitoring.dashboards`, and kept as JSON beside it."""
