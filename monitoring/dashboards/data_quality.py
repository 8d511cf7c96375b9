"""Data quality: has traffic moved, are features fresh, is everything remembered."""

from typing import Any, Final

from contracts import metrics
from monitoring.dashboards.model import VERDICTS
from monitoring.dashboards.panels import ENVIRONMENT, MODEL, Panel, Query, Row, dashboard
from monitoring.dashboards.queries import INTERVAL, OURS, PLACE, growth, highest, rate, ratio, since, slowest

_HOUR: Final = 3600


def data_quality() -> dict[str, Any]:
    """Returns the dashboard."""
    about = "Has traffic moved, are features fresh, is everything remembered."
    rows = (_drift(), _features(), _memory())
    return dashboard("sluice-data-quality", "Sluice: data quality", about, rows, ENVIRONMENT, MODEL)


def _drift() -> Row:
    drifted = f"count by (environment, model) ({metrics.DRIFT.name}{{{OURS}}} == 1)"
    return Row("Drift", [
        Panel(
            "Families that drifted", "stat", (Query(drifted, "{{environment}} {{model}}"),), "none",
            "In the latest run.", limits=((1, "red"),), nothing="0",
        ),
        Panel(
            "Since a window was measured", "stat",
            (since(metrics.DRIFT_RUN_TIMESTAMP, "environment", "model", where=OURS),),
            "s", "Thin traffic is measured when a window has rows enough.", limits=((48 * _HOUR, "orange"),),
        ),
        Panel(
            "Since the drift job ended", "stat", (since(metrics.DRIFT_JOB_TIMESTAMP, named="drift job"),),
            "s", "It is due every hour.", limits=((3 * _HOUR, "orange"),),
        ),
        Panel(
            "Verdict by family", "state-timeline",
            (highest(metrics.DRIFT, "environment", "model", "version", "family", where=OURS),), "none",
            "Drift: beyond chance, and at least 8 of 100 predictions changed their place.",
            width=24, largest=1, words=VERDICTS,
        ),
    ])  # fmt: skip


def _features() -> Row:
    defaulted = rate(metrics.TRANSFORMER_DEFAULTED_SENDERS, "environment", where=PLACE)
    messages = rate(metrics.TRANSFORMER_MESSAGES, "environment", where=PLACE)
    return Row("Features", [
        Panel(
            "E-mails without sender history", "timeseries",
            (ratio(defaulted, messages, "{{environment}}"),), "percentunit",
            "The store gave no answer in time; a sender that nobody knows does not count.",
            limits=((0.2, "red"),),
        ),
        Panel(
            "Why", "timeseries",
            (rate(metrics.TRANSFORMER_DEFAULTED_SENDERS, "environment", "reason", where=PLACE),),
            "cps", "Senders that were answered with defaults, a second.",
        ),
        Panel(
            "Numbers that were defaults", "timeseries",
            (rate(metrics.GATEWAY_DEFAULTED_FEATURES, "environment", where=PLACE),),
            "cps", "As the gateway remembers them with each prediction.",
        ),
        Panel(
            "Lookups of senders", "timeseries", (rate(metrics.SENDER_LOOKUPS, "entity", "outcome"),),
            "cps", "What the online store knew.",
        ),
        Panel(
            "Time of a lookup, 99 %", "timeseries", (slowest(metrics.SENDER_LOOKUP_SECONDS, "instance"),),
            "s", "Of one batch of senders.",
        ),
        Panel(
            "Since history was brought up to date", "stat",
            (since(metrics.FEATURES_INGEST_TIMESTAMP, named="ingest"),),
            "s", "It is due every ten minutes.", limits=((_HOUR, "orange"),),
        ),
    ])  # fmt: skip


def _memory() -> Row:
    return Row("Messages and memory", [
        Panel(
            "Defects of messages", "timeseries", (rate(metrics.MESSAGE_DEFECTS, "defect"),), "cps",
            "Violations of the mail standards: a new kind is often a new client.",
        ),
        Panel(
            "Predictions remembered", "timeseries", (rate(metrics.GATEWAY_RECORDS_WRITTEN, "instance"),),
            "cps", "Rows that reached the records.",
        ),
        Panel(
            "Predictions dropped", "timeseries",
            (growth(metrics.GATEWAY_RECORDS_DROPPED, "reason", over=INTERVAL),),
            "none", "Drift, live figures and history do not know of them.", limits=((1, "red"),),
        ),
    ])  # fmt: skip
