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

METRICS: Final = (SENDER_LOOKUPS, SENDER_LOOKUP_SECONDS, MESSAGE_DEFECTS)
