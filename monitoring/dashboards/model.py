"""Model: which version answers, how good it is, how it compares, and what the loop does."""

from typing import Any, Final

from contracts import metrics
from monitoring.dashboards.panels import ENVIRONMENT, MODEL, Panel, Row, dashboard
from monitoring.dashboards.queries import OURS, PLACE, growth, highest, is_one, rate

VERDICTS: Final = {"0": ("quiet", "green"), "0.5": ("moved a little", "yellow"), "1": ("drift", "red")}
_VERSION: Final = ("environment", "model", "version")


def model() -> dict[str, Any]:
    """Returns the dashboard."""
    about = "Which version answers, how good it is, what the loop does."
    rows = (_versions(), _quality(), _loop())
    return dashboard("sluice-model", "Sluice: models", about, rows, ENVIRONMENT, MODEL)


def _versions() -> Row:
    return Row("Versions", [
        Panel(
            "By the ledger", "table", (is_one(metrics.DEPLOYED_MODEL, *_VERSION, where=OURS),), "none",
            "The version of the last promotion.",
        ),
        Panel(
            "At the gateways", "table", (is_one(metrics.GATEWAY_MODEL, *_VERSION, "instance", where=OURS),),
            "none", "The version that answers. If it is another one: SluiceVersionMismatch.",
        ),
        Panel(
            "At the transformers", "table",
            (is_one(metrics.TRANSFORMER_MODEL, *_VERSION, "instance", where=OURS),),
            "none", "The version that features are made for.",
        ),
        Panel(
            "Requests by version", "timeseries",
            (rate(metrics.GATEWAY_REQUESTS, "environment", "version", where=f'{PLACE}, version!=""'),),
            "reqps", "What each version answered.", width=12,
        ),
        Panel(
            "Versions that a transformer refused", "timeseries",
            (growth(metrics.TRANSFORMER_REFUSED_VERSIONS, "environment", "instance", where=PLACE),),
            "none", "In an hour; it stays on the former version.", width=12,
        ),
    ])  # fmt: skip


def _quality() -> Row:
    return Row("Quality", [
        Panel(
            "Live figures, by feedback", "timeseries",
            (highest(metrics.LIVE_FIGURE, *_VERSION, "figure", where=f'{OURS}, estimate="false"'),),
            "percentunit", "What people said, against what was answered.", width=12, largest=1,
        ),
        Panel(
            "Estimated figures, without labels", "timeseries",
            (highest(metrics.LIVE_FIGURE, *_VERSION, "figure", where=f'{OURS}, estimate="true"'),),
            "percentunit", "An estimate from calibrated scores; it never tells a concept drift.",
            width=12, largest=1,
        ),
        Panel(
            "Verdict of drift by family", "state-timeline",
            (highest(metrics.DRIFT, "environment", "model", "family", where=OURS),),
            "none", "Of the latest run.", width=12, largest=1, words=VERDICTS,
        ),
        Panel(
            "Shadow", "timeseries", (rate(metrics.GATEWAY_SHADOWS, "environment", "outcome", where=PLACE),),
            "reqps", "Mirrored requests, and whether the shadow's verdict agreed.", width=12,
        ),
    ])  # fmt: skip


def _loop() -> Row:
    return Row("The loop", [
        Panel(
            "Events that could start a training run", "timeseries",
            (growth(metrics.RETRAINING, "model", "outcome", where='model=~"$model"'),),
            "none", "In an hour, and what became of them.", width=12,
        ),
        Panel(
            "Webhooks received", "timeseries", (growth(metrics.HOOKS, "hook", "outcome"),), "none",
            "In an hour. Unsigned or stale ones point to a wrong secret or clock.", width=12,
        ),
    ])  # fmt: skip
