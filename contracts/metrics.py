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
)
