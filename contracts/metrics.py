"""Every metric a process of Sluice exposes: name, kind, labels and what it tells.

The names follow the Prometheus conventions: base units, `_total` for counters. Alert rules and dashboards
are held against this list.
"""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field


class Kind(StrEnum):
    """How a metric behaves over time."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(BaseModel):
    """One metric family; `buckets` are upper bounds in the unit of the name, for histograms only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^sluice_[a-z0-9_]+$")
    kind: Kind
    sentence: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


SENDER_LOOKUPS: Final = Metric(
    name="sluice_sender_lookups_total",
    kind=Kind.COUNTER,
    labels=("entity", "outcome"),
    sentence="Online sender-history lookups; outcome is found, unknown, expired or failed. "
    "All but found were answered with defaults.",
)
SENDER_LOOKUP_SECONDS: Final = Metric(
    name="sluice_sender_lookup_seconds",
    kind=Kind.HISTOGRAM,
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
    sentence="Time of one online lookup of a batch of senders.",
)
MESSAGE_DEFECTS: Final = Metric(
    name="sluice_message_defects_total",
    kind=Kind.COUNTER,
    labels=("defect",),
    sentence="Violations of the mail standards met while parsing, by kind.",
)

TRANSFORMER_REQUESTS: Final = Metric(
    name="sluice_transformer_requests_total",
    kind=Kind.COUNTER,
    labels=("status",),
    sentence="Inference requests that the transformer answered, by HTTP status.",
)
TRANSFORMER_REQUEST_SECONDS: Final = Metric(
    name="sluice_transformer_request_seconds",
    kind=Kind.HISTOGRAM,
    buckets=(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0),
    sentence="Time from the head of an inference request to its answer, whatever the answer.",
)
TRANSFORMER_EXTRACTION_SECONDS: Final = Metric(
    name="sluice_transformer_extraction_seconds",
    kind=Kind.HISTOGRAM,
    buckets=(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
    sentence="Time of making the features of one request's messages, waiting for a worker included.",
)
TRANSFORMER_PREDICTOR_SECONDS: Final = Metric(
    name="sluice_transformer_predictor_seconds",
    kind=Kind.HISTOGRAM,
    buckets=(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.25, 1.0),
    sentence="Time of one call of the transformer to Triton, of several requests' rows together.",
)
TRANSFORMER_PREDICTOR_ROWS: Final = Metric(
    name="sluice_transformer_predictor_rows",
    kind=Kind.HISTOGRAM,
    buckets=(1, 2, 4, 8, 16, 32),
    sentence="Rows of one call of the transformer to Triton.",
)
TRANSFORMER_MESSAGES: Final = Metric(
    name="sluice_transformer_messages_total",
    kind=Kind.COUNTER,
    sentence="Messages whose features the transformer made.",
)
TRANSFORMER_DEFAULTED_SENDERS: Final = Metric(
    name="sluice_transformer_defaulted_senders_total",
    kind=Kind.COUNTER,
    labels=("reason",),
    sentence="Senders answered with defaults because their history was not to be had; reason is slow, failed "
    "or paused.",
)
TRANSFORMER_REFUSED_VERSIONS: Final = Metric(
    name="sluice_transformer_refused_versions_total",
    kind=Kind.COUNTER,
    sentence="Model versions that the transformer was told to serve and refused, staying on the former.",
)
TRANSFORMER_MODEL: Final = Metric(
    name="sluice_transformer_model",
    kind=Kind.GAUGE,
    labels=("model", "version"),
    sentence="1 for the model version that the transformer serves, 0 for those before it.",
)

GATEWAY_REQUESTS: Final = Metric(
    name="sluice_gateway_requests_total",
    kind=Kind.COUNTER,
    labels=("route", "environment", "version", "status"),
    sentence="Requests that the gateway answered. The route is the path's pattern, the version that of the "
    "model; both are empty where there is none.",
)
GATEWAY_REQUEST_SECONDS: Final = Metric(
    name="sluice_gateway_request_seconds",
    kind=Kind.HISTOGRAM,
    labels=("route", "environment"),
    buckets=(0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 5.0),
    sentence="Time from the head of a request to the end of its answer, whatever the answer.",
)
GATEWAY_UPSTREAM_SECONDS: Final = Metric(
    name="sluice_gateway_upstream_seconds",
    kind=Kind.HISTOGRAM,
    labels=("environment",),
    buckets=(0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 5.0),
    sentence="Time of one try at an environment's model server.",
)
GATEWAY_UPSTREAM_ERRORS: Final = Metric(
    name="sluice_gateway_upstream_errors_total",
    kind=Kind.COUNTER,
    labels=("environment", "error"),
    sentence="Tries at an environment's model server that failed, by the error's code.",
)
GATEWAY_BREAKER_OPEN: Final = Metric(
    name="sluice_gateway_breaker_open",
    kind=Kind.GAUGE,
    labels=("environment", "model"),
    sentence="1 while requests to this model server are refused at once, 0.5 while one is tried, else 0.",
)
GATEWAY_IN_FLIGHT: Final = Metric(
    name="sluice_gateway_in_flight",
    kind=Kind.GAUGE,
    sentence="Requests that are worked on.",
)
GATEWAY_WAITING: Final = Metric(
    name="sluice_gateway_waiting",
    kind=Kind.GAUGE,
    sentence="Requests that wait for their turn.",
)
GATEWAY_KEYS_REFUSED: Final = Metric(
    name="sluice_gateway_keys_refused_total",
    kind=Kind.COUNTER,
    labels=("reason",),
    sentence="Requests without a valid key or scope; reason is missing, unknown, revoked, expired, scope or "
    "attempts.",
)
GATEWAY_RATE_LIMITED: Final = Metric(
    name="sluice_gateway_rate_limited_total",
    kind=Kind.COUNTER,
    labels=("key",),
    sentence="Requests refused because their key has sent all it may; by the key's public id.",
)
GATEWAY_RATE_STORE_UP: Final = Metric(
    name="sluice_gateway_rate_store_up",
    kind=Kind.GAUGE,
    sentence="1 while rates are counted where settings say; 0 while Redis does not answer, and each gateway "
    "counts alone.",
)
GATEWAY_RECORDS_QUEUED: Final = Metric(
    name="sluice_gateway_records_queued",
    kind=Kind.GAUGE,
    sentence="Predictions in memory that are not written yet.",
)
GATEWAY_SPOOL_BYTES: Final = Metric(
    name="sluice_gateway_spool_bytes",
    kind=Kind.GAUGE,
    sentence="Bytes of predictions on disk that wait for the database.",
)
GATEWAY_SPOOL_LIMIT_BYTES: Final = Metric(
    name="sluice_gateway_spool_limit_bytes",
    kind=Kind.GAUGE,
    sentence="Bytes that the spool may have; beyond them predictions are dropped.",
)
GATEWAY_RECORDS_WRITTEN: Final = Metric(
    name="sluice_gateway_records_written_total",
    kind=Kind.COUNTER,
    sentence="Predictions that reached the database.",
)
GATEWAY_RECORDS_DROPPED: Final = Metric(
    name="sluice_gateway_records_dropped_total",
    kind=Kind.COUNTER,
    labels=("reason",),
    sentence="Predictions that are not remembered; reason is full, invalid or disk.",
)
GATEWAY_SHADOWS: Final = Metric(
    name="sluice_gateway_shadows_total",
    kind=Kind.COUNTER,
    labels=("environment", "outcome"),
    sentence="Mirrored requests by the environment they were mirrored to; outcome is agreed, disagreed, "
    "failed or skipped.",
)
GATEWAY_DEFAULTED_FEATURES: Final = Metric(
    name="sluice_gateway_defaulted_features_total",
    kind=Kind.COUNTER,
    labels=("environment",),
    sentence="Numbers of answered e-mails that were defaults, because history was not to be had.",
)
GATEWAY_MODEL: Final = Metric(
    name="sluice_gateway_model",
    kind=Kind.GAUGE,
    labels=("environment", "model", "version"),
    sentence="1 for each model version that answers, 0 for those before it.",
)

DRIFT_JOB_TIMESTAMP: Final = Metric(
    name="sluice_drift_job_timestamp_seconds",
    kind=Kind.GAUGE,
    sentence="When the drift job last came to its end, whatever it found; Unix time.",
)
DRIFT_RUN_TIMESTAMP: Final = Metric(
    name="sluice_drift_run_timestamp_seconds",
    kind=Kind.GAUGE,
    labels=("environment", "model"),
    sentence="When a window of this model was last measured; Unix time.",
)
DRIFT: Final = Metric(
    name="sluice_drift",
    kind=Kind.GAUGE,
    labels=("environment", "model", "version", "family"),
    sentence="The latest verdict on a family: 1 for drift, 0.5 for less than the floor, 0 for quiet.",
)
LIVE_FIGURE: Final = Metric(
    name="sluice_live_figure",
    kind=Kind.GAUGE,
    labels=("environment", "model", "version", "figure", "estimate"),
    sentence="The latest live figure (precision, recall, f1, …); estimate is true where no label was read.",
)
ALERTS_OPEN: Final = Metric(
    name="sluice_alerts_open",
    kind=Kind.GAUGE,
    labels=("environment", "kind", "severity"),
    sentence="Alerts that are open.",
)
DELIVERIES: Final = Metric(
    name="sluice_webhook_deliveries",
    kind=Kind.GAUGE,
    labels=("channel", "status"),
    sentence="Messages of the outbox that wait (pending) or were given up (dead).",
)
DELIVERY_AGE_SECONDS: Final = Metric(
    name="sluice_webhook_oldest_pending_seconds",
    kind=Kind.GAUGE,
    labels=("channel",),
    sentence="Age of the oldest message that waits for its channel.",
)
DEPLOYED_MODEL: Final = Metric(
    name="sluice_deployed_model",
    kind=Kind.GAUGE,
    labels=("environment", "model", "version"),
    sentence="1 for the version that the ledger of promotions says should answer.",
)
FEATURES_INGEST_TIMESTAMP: Final = Metric(
    name="sluice_features_ingest_timestamp_seconds",
    kind=Kind.GAUGE,
    sentence="When predictions and feedback last became sender history; Unix time.",
)
RECORDS_UP: Final = Metric(
    name="sluice_monitoring_records_up",
    kind=Kind.GAUGE,
    sentence="1 while the monitoring process can read the records; at 0 it tells nothing of them.",
)
GATEWAY_READ: Final = Metric(
    name="sluice_monitoring_gateway_read",
    kind=Kind.GAUGE,
    sentence="1 if the latest check could read the gateway's own figures, else 0; absent before the first.",
)
HOOKS: Final = Metric(
    name="sluice_hooks_total",
    kind=Kind.COUNTER,
    labels=("hook", "outcome"),
    sentence="Webhooks received; outcome is accepted, repeated, unsigned, stale, malformed, too_large or "
    "failed (on our side).",
)
RETRAINING: Final = Metric(
    name="sluice_retraining_total",
    kind=Kind.COUNTER,
    labels=("model", "outcome"),
    sentence="Events that could start a training run; outcome is started, off, cooldown, capped, running, "
    "mild or failed.",
)

METRICS: Final = (
    SENDER_LOOKUPS,
    SENDER_LOOKUP_SECONDS,
    MESSAGE_DEFECTS,
    TRANSFORMER_REQUESTS,
    TRANSFORMER_REQUEST_SECONDS,
    TRANSFORMER_EXTRACTION_SECONDS,
    TRANSFORMER_PREDICTOR_SECONDS,
    TRANSFORMER_PREDICTOR_ROWS,
    TRANSFORMER_MESSAGES,
    TRANSFORMER_DEFAULTED_SENDERS,
    TRANSFORMER_REFUSED_VERSIONS,
    TRANSFORMER_MODEL,
    GATEWAY_REQUESTS,
    GATEWAY_REQUEST_SECONDS,
    GATEWAY_UPSTREAM_SECONDS,
    GATEWAY_UPSTREAM_ERRORS,
    GATEWAY_BREAKER_OPEN,
    GATEWAY_IN_FLIGHT,
    GATEWAY_WAITING,
    GATEWAY_KEYS_REFUSED,
    GATEWAY_RATE_LIMITED,
    GATEWAY_RATE_STORE_UP,
    GATEWAY_RECORDS_QUEUED,
    GATEWAY_SPOOL_BYTES,
    GATEWAY_SPOOL_LIMIT_BYTES,
    GATEWAY_RECORDS_WRITTEN,
    GATEWAY_RECORDS_DROPPED,
    GATEWAY_SHADOWS,
    GATEWAY_DEFAULTED_FEATURES,
    GATEWAY_MODEL,
    DRIFT_JOB_TIMESTAMP,
    DRIFT_RUN_TIMESTAMP,
    DRIFT,
    LIVE_FIGURE,
    ALERTS_OPEN,
    DELIVERIES,
    DELIVERY_AGE_SECONDS,
    DEPLOYED_MODEL,
    FEATURES_INGEST_TIMESTAMP,
    RECORDS_UP,
    GATEWAY_READ,
    HOOKS,
    RETRAINING,
)
