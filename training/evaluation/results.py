"""What an evaluation found, as frozen models for JSON: no NaN, and None always with its reason."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """A part of an evaluation."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(Result):
    """One figure with its 95 % interval; what could not be computed is None, and `reason` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


class Difference(Result):
    """One figure less another on the same rows, with its 95 % interval and two-sided p-value."""

    value: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    reason: str | None = None


Figures = dict[str, Estimate]
"""Estimates by metric name (training.metrics.METRICS)."""


class Threshold(Result):
    """Where the second class begins: probability >= `value`. `reason` tells of a degenerate case."""

    value: float
    objective: str
    reason: str | None = None


class SeedResult(Result):
    """What one grouped split gave; everything was refitted on its training rows."""

    seed: int
    train_rows: int
    validation_rows: int
    test_rows: int
    rounds: int
    threshold: Threshold | None
    """None with more than two classes: the most probable one is the answer."""
    figures: Figures


class Record(Result):
    """The figure of record: the mean of each metric over the seeds, with its interval."""

    seeds: tuple[SeedResult, ...]
    means: Figures
    method: str
    """How the intervals were made, in words."""


class Bin(Result):
    """One row of the reliability table: what was promised, and what came true."""

    low: float
    high: float
    rows: int
    predicted: float | None
    observed: float | None


class CurvePoint(Result):
    """One threshold, and what comes of it; ROC, PR and threshold curves are drawn from these."""

    threshold: float
    recall: float
    precision: float
    false_positive_rate: float
    f1: float


class Curve(Result):
    """One class against the others, from the highest threshold down; at most a few hundred points."""

    class_name: str
    points: tuple[CurvePoint, ...]


class Slice(Result):
    """The test rows of one kind."""

    name: str
    rows: int
    by_class: dict[str, int]
    figures: Figures


class Ablation(Result):
    """The model fitted and judged without something; `differences` are without less with."""

    name: str
    figures: Figures
    differences: dict[str, Difference]


class Perturbation(Result):
    """The test rows of the second class (all rows if there are more than two classes), after an evasion."""

    name: str
    rows: int
    recall_before: Estimate
    recall_after: Estimate
    recall_lost: Difference


class Correction(Result):
    """The time-ordered test rows under one assumption about how common each class has become."""

    name: str
    """`none`, `estimated` (without test labels), or `oracle` (with them: a bound, and nothing to deploy)."""
    prior: dict[str, float]
    threshold: Threshold | None
    """Chosen on validation, whose probabilities are corrected to its own prior where the test's are."""
    figures: Figures


class TimeOrdered(Result):
    """The past judged on the future: fitted before validation, and validated before the test begins."""

    train_rows: int
    validation_rows: int
    test_rows: int
    train_shares: dict[str, float]
    validation_shares: dict[str, float]
    test_shares: dict[str, float]
    corrections: tuple[Correction, ...]


class Importance(Result):
    """Mean absolute contribution of one feature to the log odds over the test rows (SHAP, by the trees)."""

    feature: str
    mean_contribution: float


class Error(Result):
    """A test row that was answered wrongly. `title` is as hostile as the data: escape it."""

    id: str
    title: str
    label: str
    predicted: str
    probability: float
    """Of the class that was answered."""


class Evaluation(Result):
    """Everything that is known of a model's quality: the record over seeds, and details on the run's own."""

    workload: str
    classes: tuple[str, ...]
    fingerprint: str
    schema_digest: str
    parameters: dict[str, Any]
    record: Record
    run_seed: int
    rounds: int
    rows: dict[str, int]
    """Of the run's split: train, validation, test."""
    threshold: Threshold | None
    figures: Figures
    """On the run's test split; the intervals are bootstrapped by whole groups."""
    confusion: tuple[tuple[int, ...], ...]
    """[K][K]: rows are the true classes, columns the answers."""
    reliability: tuple[Bin, ...]
    curves: tuple[Curve, ...]
    slices: tuple[Slice, ...]
    ablations: tuple[Ablation, ...]
    perturbations: tuple[Perturbation, ...]
    time_ordered: TimeOrdered | None
    time_ordered_reason: str | None
    importance: tuple[Importance, ...]
    importance_reason: str | None
    errors: tuple[Error, ...]
    """The most confident mistakes first, at most 50."""
    error_count: int
