"""May this model be released? A pure decision over plain data, with a sentence for every rule."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from training.evaluation.predictions import Predictions
from training.evaluation.results import Evaluation
from training.settings import TrainingSettings


@dataclass(frozen=True)
class Finding:
    """What another judge found: the certificate's, or the data validation's."""

    passed: bool
    sentence: str


@dataclass(frozen=True)
class Production:
    """The model that serves now, and its answers on the very test rows of the candidate."""

    version: str
    predictions: Predictions


@dataclass(frozen=True)
class Evidence:
    """Everything the decision looks at; None means that nobody looked, which is never taken for a pass."""

    evaluation: Evaluation
    predictions: Predictions
    """The candidate's answers on the test rows of the run's seed."""
    production: Production | None
    """None if no model serves in production yet."""
    certificate: Finding | None
    data_validation: Finding | None
    expected_schema_digest: str
    """Of the contract in this code; the candidate carries its own in the evaluation."""
    bundle_schema_digest: str | None
    """As it stands in the bundle that would be released."""
    seconds_per_row: float | None
    bundle_bytes: int | None


@dataclass(frozen=True)
class Limits:
    """What the gate asks for."""

    floors: Mapping[str, float]
    """By metric name, for the mean over seeds; `slice:<name>:<metric>` for a slice of the run's test rows."""
    metric: str
    """What the candidate and production are compared by."""
    significance: float
    max_seconds_per_row: float
    max_bundle_bytes: int
    resamples: int


class Reason(BaseModel):
    """One rule, whether it was kept, and what was found, in a sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    passed: bool
    sentence: str


class Decision(BaseModel):
    """The answer: accepted if every rule was kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: bool
    reasons: tuple[Reason, ...]

    @property
    def refusals(self) -> tuple[str, ...]:
        """The sentences of the rules that were broken."""
        return tuple(reason.sentence for reason in self.reasons if not reason.passed)


def limits_of(settings: TrainingSettings, floors: Mapping[str, float]) -> Limits:
    """Returns the limits of these settings, with the floors of a workload."""
    return Limits(
        floors=floors,
        metric=settings.gate_metric,
        significance=settings.gate_significance,
        max_seconds_per_row=settings.gate_max_row_seconds,
        max_bundle_bytes=settings.gate_max_bundle_bytes,
        resamples=settings.bootstrap_resamples,
    )
