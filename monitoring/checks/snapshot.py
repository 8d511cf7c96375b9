"""The gateway's own figures at one moment, and what they grew by since an earlier one.

A gateway that was started anew counts from nothing: its start time tells, and all that it has counted since
is new then. So nothing is counted twice and nothing is missed but what it counted between the last look and
its end.
"""

from datetime import UTC, datetime
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from pydantic import AwareDatetime, BaseModel, ConfigDict

from contracts import metrics as contract
from contracts.metrics import Metric
from monitoring.errors import GatewayUnread

BEGAN: Final = "process_start_time_seconds"
WATCHED: Final = (
    contract.GATEWAY_REQUESTS,
    contract.GATEWAY_UPSTREAM_ERRORS,
    contract.GATEWAY_BREAKER_OPEN,
    contract.GATEWAY_RECORDS_QUEUED,
    contract.GATEWAY_SPOOL_BYTES,
    contract.GATEWAY_SPOOL_LIMIT_BYTES,
    contract.GATEWAY_RECORDS_WRITTEN,
    contract.GATEWAY_RECORDS_DROPPED,
    contract.GATEWAY_MODEL,
)
_NAMES: Final = (BEGAN, *(metric.name for metric in WATCHED))
_SAMPLES_MAX: Final = 20_000


class Sample(BaseModel):
    """One value of one metric."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    labels: dict[str, str]
    value: float


class Snapshot(BaseModel):
    """All that is watched of one gateway at one moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gateway: str
    """Its address; another one's figures say nothing of these."""
    began: float
    """When its process began, Unix time."""
    at: AwareDatetime
    samples: tuple[Sample, ...]

    @property
    def since(self) -> datetime:
        """When its process began."""
        return datetime.fromtimestamp(self.began, UTC)

    def of(self, metric: Metric, **labels: str) -> list[Sample]:
        """Returns the samples of `metric` with these labels."""
        return [
            sample
            for sample in self.samples
            if sample.name == metric.name and labels.items() <= sample.labels.items()
        ]

    def total(self, metric: Metric, **labels: str) -> float:
        """Returns the sum of them."""
        return sum(sample.value for sample in self.of(metric, **labels))

    def grown(self, before: "Snapshot | None", metric: Metric, **labels: str) -> list[Sample]:
        """Returns what each counter grew by since `before`; by all that it has counted since a new start."""
        former: dict[tuple[tuple[str, str], ...], float] = {}
        if before is not None and (before.gateway, before.began) == (self.gateway, self.began):
            former = {_key(sample): sample.value for sample in before.of(metric)}
        found = []
        for sample in self.of(metric, **labels):
            value = sample.value - former.get(_key(sample), 0)
            found.append(sample.model_copy(update={"value": value if value >= 0 else sample.value}))
        return found

    def growth(self, before: "Snapshot | None", metric: Metric, **labels: str) -> float:
        """Returns the sum of that."""
        return sum(sample.value for sample in self.grown(before, metric, **labels))


def parsed(text: str, *, gateway: str, at: datetime) -> Snapshot:
    """Returns what is watched of a page of metrics.

    Raises:
        GatewayUnread: it is no such page, or not that of a gateway.
    """
    # Histograms are most of a page, and are not looked at.
    lines = [line for line in text.splitlines() if line.lstrip("# ").removeprefix("TYPE ").startswith(_NAMES)]
    samples: list[Sample] = []
    began: float | None = None
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                if sample.name == BEGAN:
                    began = sample.value
                elif sample.name in _NAMES:
                    labels = dict(sample.labels)
                    samples.append(Sample(name=sample.name, labels=labels, value=float(sample.value)))
    except (ValueError, KeyError, IndexError) as exc:
        raise GatewayUnread(f"{gateway} answers with something else than metrics.") from exc
    if began is None or not samples or len(samples) > _SAMPLES_MAX:
        raise GatewayUnread(
            f"What answers at {gateway} is no gateway of Sluice.",
            next_step="Set MONITORING_GATEWAY_URL to the gateway's address.",
        )
    return Snapshot(gateway=gateway, began=began, at=at, samples=tuple(samples))


def _key(sample: Sample) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(sample.labels.items()))
