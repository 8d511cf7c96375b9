"""Overview: is the promise kept, what is asked, what is wrong."""

from typing import Any, Final

from contracts import metrics
from monitoring.dashboards.panels import ENVIRONMENT, Panel, Query, Row, dashboard
from monitoring.dashboards.queries import PLACE, growth, is_one, rate, recorded, total

BUDGET: Final = 0.001
"""The share of predictions that may fail; monitoring/rules/prometheus/objective.yaml alerts on it."""
PREDICTIONS: Final = f'route=~"/v1/predict(/batch)?|/v2/models/.+/infer", {PLACE}'
_FIRING: Final = 'alertname=~"Sluice.+", alertstate="firing"'
_NAMED: Final = "{{environment}}"


def overview() -> dict[str, Any]:
    """Returns the dashboard."""
    about = "Is the promise kept, what is asked, what is wrong."
    rows = (_promise(), _asked(), _answers())
    return dashboard("sluice-overview", "Sluice: overview", about, rows, ENVIRONMENT)


def _promise() -> Row:
    return Row("The promise", [
        Panel(
            "Error budget left, 30 days", "stat", (_budget_left(),), "percentunit",
            "What is left of the 0.1 % of predictions that may fail in 30 days.",
            width=6, limits=((0, "orange"), (0.25, "green")), below="red",
        ),
        Panel(
            "Predictions", "stat", (recorded("requests:rate5m", _NAMED),), "reqps",
            "Requests for predictions, a second.", width=6,
        ),
        Panel(
            "Open alerts", "stat", (total(metrics.ALERTS_OPEN, "severity", where=PLACE),), "none",
            "Of Sluice's own book: `sluice alerts list`.", width=6, limits=((1, "orange"),), nothing="0",
        ),
        Panel(
            "Firing rules", "stat",
            (Query(f"count by (severity) (ALERTS{{{_FIRING}}})", "{{severity}}"),), "none",
            "Rules of Prometheus that fire now.", width=6, limits=((1, "orange"),), nothing="0",
        ),
        Panel(
            "Failed predictions", "timeseries", (recorded("errors:ratio_rate5m", _NAMED),), "percentunit",
            "The share that failed on our side, over five minutes.", width=12, limits=((0.02, "red"),),
        ),
        Panel(
            "How fast the budget burns", "timeseries",
            tuple(
                recorded(f"errors:ratio_rate{window}", f"{_NAMED}, {window}", divided_by=BUDGET)
                for window in ("1h", "6h", "1d", "3d")
            ),
            "none", "1 uses it up in 30 days; the alerts are at 14.4 and 6, and at 3 and 1.",
            width=12, limits=((1, "orange"), (6, "red")),
        ),
    ])  # fmt: skip


def _asked() -> Row:
    return Row("What is asked", [
        Panel(
            "Requests by status", "timeseries",
            (rate(metrics.GATEWAY_REQUESTS, "environment", "status", where=PLACE),),
            "reqps", "All routes of an environment.",
        ),
        Panel(
            "Requests by route", "timeseries", (rate(metrics.GATEWAY_REQUESTS, "route", where=PLACE),),
            "reqps", "All environments that are chosen.",
        ),
        Panel(
            "Time of a prediction", "timeseries",
            (
                recorded("request_seconds:p99_rate5m", f"{_NAMED}, 99 %"),
                recorded("request_seconds:p50_rate5m", f"{_NAMED}, 50 %"),
                recorded("request_seconds:mean_rate5m", f"{_NAMED}, mean"),
            ),
            "s", "From the head of the request to the end of the answer.", limits=((0.25, "red"),),
        ),
    ])  # fmt: skip


def _answers() -> Row:
    return Row("What answers", [
        Panel(
            "Versions that answer", "table",
            (is_one(metrics.GATEWAY_MODEL, "environment", "model", "version", where=PLACE),),
            "none", "As the gateways tell; the ledger's are on the dashboard of models.", width=12,
        ),
        Panel(
            "Alerts by kind", "timeseries",
            (total(metrics.ALERTS_OPEN, "environment", "kind", "severity", where=PLACE),),
            "none", "Open alerts of Sluice's own book.", width=12,
        ),
    ])  # fmt: skip


def _budget_left() -> Query:
    failed = growth(
        metrics.GATEWAY_REQUESTS, "environment", where=f'{PREDICTIONS}, status=~"5.."', over="30d"
    )
    every = growth(metrics.GATEWAY_REQUESTS, "environment", where=PREDICTIONS, over="30d")
    share = f"({failed.expression} or 0 * {every.expression}) / ({every.expression} > 0)"
    return Query(f"1 - {share} / {BUDGET}", _NAMED)
