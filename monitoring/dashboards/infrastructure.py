"""Infrastructure: processes, queues, model servers, records, messages."""

from typing import Any, Final

from contracts import metrics
from monitoring.dashboards.panels import ENVIRONMENT, Panel, Query, Row, dashboard
from monitoring.dashboards.queries import INTERVAL, PLACE, highest, rate, ratio, slowest

JOBS: Final = 'job=~"sluice-.+"'
STATES: Final = {"0": ("down", "red"), "1": ("up", "green")}
BREAKER: Final = {"0": ("closed", "green"), "0.5": ("trying", "yellow"), "1": ("open", "red")}
_PROCESS: Final = "{{job}} {{instance}}"


def infrastructure() -> dict[str, Any]:
    """Returns the dashboard."""
    about = "Processes, queues, model servers, records, messages."
    rows = (_processes(), _gateway(), _models(), _records())
    return dashboard("sluice-infrastructure", "Sluice: infrastructure", about, rows, ENVIRONMENT)


def _processes() -> Row:
    return Row("Processes", [
        Panel(
            "Up", "state-timeline", (Query(f"up{{{JOBS}}}", _PROCESS),), "none",
            "As Prometheus sees them.", largest=1, words=STATES,
        ),
        Panel(
            "Processors", "timeseries",
            (Query(f"rate(process_cpu_seconds_total{{{JOBS}}}[{INTERVAL}])", _PROCESS),),
            "none", "Cores that a process uses.",
        ),
        Panel(
            "Memory", "timeseries", (Query(f"process_resident_memory_bytes{{{JOBS}}}", _PROCESS),),
            "bytes", "Resident.",
        ),
    ])  # fmt: skip


def _gateway() -> Row:
    return Row("Gateway", [
        Panel(
            "At work and waiting", "timeseries",
            (
                highest(metrics.GATEWAY_IN_FLIGHT, "instance", named="{{instance}} at work"),
                highest(metrics.GATEWAY_WAITING, "instance", named="{{instance}} waiting"),
            ),
            "none", "Requests; what waits for long is refused as overloaded.",
        ),
        Panel(
            "Tries at model servers, 99 %", "timeseries",
            (slowest(metrics.GATEWAY_UPSTREAM_SECONDS, "environment", where=PLACE),),
            "s", "Time of one try.",
        ),
        Panel(
            "Tries that failed", "timeseries",
            (rate(metrics.GATEWAY_UPSTREAM_ERRORS, "environment", "error", where=PLACE),),
            "cps", "By the error's code.",
        ),
        Panel(
            "Breakers", "state-timeline",
            (highest(metrics.GATEWAY_BREAKER_OPEN, "environment", "model", where=PLACE),),
            "none", "An open one refuses requests at once.", largest=1, words=BREAKER,
        ),
        Panel(
            "Time of requests, 99 %", "timeseries",
            (slowest(metrics.GATEWAY_REQUEST_SECONDS, "route", where=PLACE),), "s", "By route.",
        ),
        Panel(
            "Keys refused", "timeseries",
            (
                rate(metrics.GATEWAY_KEYS_REFUSED, "reason"),
                rate(metrics.GATEWAY_RATE_LIMITED, named="rate"),
            ),
            "cps", "Requests without a valid key or scope, and of keys that sent all they may.",
        ),
        Panel(
            "Rates are shared", "state-timeline", (highest(metrics.GATEWAY_RATE_STORE_UP, "instance"),),
            "none", "Down: each gateway counts alone.", largest=1, words=STATES,
        ),
    ])  # fmt: skip


def _models() -> Row:
    rows = f"{metrics.TRANSFORMER_PREDICTOR_ROWS.name}%s{{{PLACE}}}[{INTERVAL}]"
    part, whole = (Query(f"sum by (environment) (rate({rows % end}))") for end in ("_sum", "_count"))
    return Row("Transformers and Triton", [
        Panel(
            "Requests of transformers", "timeseries",
            (rate(metrics.TRANSFORMER_REQUESTS, "environment", "status", where=PLACE),),
            "reqps", "By status.",
        ),
        Panel(
            "Where their time goes, 99 %", "timeseries",
            tuple(
                slowest(metric, "environment", where=PLACE, named=f"{{{{environment}}}} {part}")
                for metric, part in (
                    (metrics.TRANSFORMER_REQUEST_SECONDS, "whole"),
                    (metrics.TRANSFORMER_EXTRACTION_SECONDS, "features"),
                    (metrics.TRANSFORMER_PREDICTOR_SECONDS, "Triton"),
                )
            ),
            "s", "Making features, and asking Triton.",
        ),
        Panel(
            "Rows of a call to Triton", "timeseries", (ratio(part, whole, "{{environment}}"),),
            "none", "In the mean: how well requests are put together.",
        ),
        Panel(
            "Triton: requests", "timeseries",
            (
                _triton("request_success", "{{environment}} {{model}} good"),
                _triton("request_failure", "{{environment}} {{model}} failed"),
            ),
            "reqps", "As Triton counts them.", width=12,
        ),
        Panel(
            "Triton: time of a request in the queue", "timeseries",
            (ratio(_triton("queue_duration_us"), _triton("request_success"), "{{environment}} {{model}}"),),
            "µs", "In the mean: long queues want more instances.", width=12,
        ),
    ])  # fmt: skip


def _records() -> Row:
    return Row("Records and messages", [
        Panel(
            "Predictions in memory", "timeseries", (highest(metrics.GATEWAY_RECORDS_QUEUED, "instance"),),
            "none", "Not written yet.",
        ),
        Panel(
            "Spool", "timeseries",
            (
                highest(metrics.GATEWAY_SPOOL_BYTES, "instance"),
                highest(metrics.GATEWAY_SPOOL_LIMIT_BYTES, "instance", named="{{instance}} limit"),
            ),
            "bytes", "Predictions on disk that wait for the database.",
        ),
        Panel(
            "Monitoring reads", "state-timeline",
            (
                highest(metrics.RECORDS_UP, "instance", named="{{instance}} records"),
                highest(metrics.GATEWAY_READ, "instance", named="{{instance}} gateway"),
            ),
            "none", "Without the records no alert is opened and no message sent.", largest=1, words=STATES,
        ),
        Panel(
            "Messages that were not delivered", "timeseries",
            (highest(metrics.DELIVERIES, "channel", "status"),),
            "none", "Dead ones were given up: `sluice alerts resend`.", width=12,
        ),
        Panel(
            "How long the oldest has waited", "timeseries",
            (highest(metrics.DELIVERY_AGE_SECONDS, "channel"),),
            "s", "By channel.", width=12, limits=((900, "orange"),),
        ),
    ])  # fmt: skip


def _triton(name: str, named: str = "") -> Query:
    counter = f"nv_inference_{name}{{{PLACE}}}[{INTERVAL}]"
    return Query(f"sum by (environment, model) (rate({counter}))", named)
