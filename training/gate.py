"""May this model be released? A pure decision over plain data, with a sentence for every rule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from training.evaluation.predictions import Predictions
from training.evaluation.results import Estimate, Evaluation
from training.intervals import PredictionsDiffer, differences
from training.metrics import METRICS
from training.settings import TrainingSettings
from training.workload import Mask

_SLICE: Final = "slice:"


@dataclass(frozen=True)
class Finding:
    """What another judge found: the certificate's, or the data validation's."""

    passed: bool
    sentence: str


@dataclass(frozen=True)
class Production:
    """The model that serves now, and its answers on the very test rows of the candidate."""

    version: str
    predictions: Predictions | None
    """None if it takes other inputs, so that it cannot be asked."""
    seen: Mask | None = None
    """Which of these rows, or of their copies, it was fitted on; None if nobody knows."""


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
    seed_margin: float
    """How far below a floor of the mean the figure on the run's own test rows may lie."""
    metric: str
    """What the candidate and production are compared by."""
    significance: float
    min_unseen: int
    """Independent test rows that production was not fitted on, from which on they alone are compared."""
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
        seed_margin=settings.gate_seed_margin,
        metric=settings.gate_metric,
        significance=settings.gate_significance,
        min_unseen=settings.gate_min_unseen_rows,
        max_seconds_per_row=settings.gate_max_row_seconds,
        max_bundle_bytes=settings.gate_max_bundle_bytes,
        resamples=settings.bootstrap_resamples,
    )


def decide(evidence: Evidence, limits: Limits) -> Decision:
    """Returns the decision, with a reason for every rule whether it was kept or not.

    A rule whose evidence is missing is broken: what nobody looked at is never taken for good.
    """
    reasons = (
        *_floors(evidence.evaluation, limits),
        _production(evidence, limits),
        _finding("certificate", evidence.certificate, "The export was not compared with the estimator."),
        _schema(evidence),
        _finding("data validation", evidence.data_validation, "The data was not validated."),
        _latency(evidence.seconds_per_row, limits.max_seconds_per_row),
        _size(evidence.bundle_bytes, limits.max_bundle_bytes),
    )
    return Decision(accepted=all(reason.passed for reason in reasons), reasons=reasons)


def _floors(evaluation: Evaluation, limits: Limits) -> Iterator[Reason]:
    if not limits.floors:
        yield Reason(
            rule="floor", passed=False, sentence="The workload asks for no quality at all: give it a floor."
        )
    for name, floor in limits.floors.items():
        on_slice, _, metric = name.removeprefix(_SLICE).rpartition(":")
        rule = "slice floor" if name.startswith(_SLICE) else "floor"
        if metric not in METRICS or not METRICS[metric].more_is_better:
            usable = ", ".join(each for each, known in METRICS.items() if known.more_is_better)
            sentence = f"The floor {name} names no metric with a floor; these have one: {usable}."
            yield Reason(rule=rule, passed=False, sentence=sentence)
        elif rule == "floor":
            where = f"the mean over {len(evaluation.record.seeds)} seeds"
            yield _floor(rule, METRICS[metric].title, where, evaluation.record.means[metric], floor)
            yield _own_floor(evaluation, metric, floor, limits.seed_margin)
        else:
            figures = {each.name: each.figures for each in evaluation.slices}.get(on_slice)
            missing = Estimate(value=None, reason="the data has no such slice")
            found = missing if figures is None else figures[metric]
            yield _floor(rule, METRICS[metric].title, f"the slice {on_slice}", found, floor)


def _floor(rule: str, title: str, where: str, found: Estimate, floor: float) -> Reason:
    if found.value is None:
        sentence = f"{title} on {where} is undefined ({found.reason}), and at least {floor:g} is asked for."
        return Reason(rule=rule, passed=False, sentence=sentence)
    passed = found.value >= floor
    verdict = "at or above" if passed else "below"
    sentence = f"{title} on {where} is {found.value:.4f}{_interval(found)}, {verdict} the floor of {floor:g}."
    return Reason(rule=rule, passed=passed, sentence=sentence)


def _own_floor(evaluation: Evaluation, metric: str, floor: float, margin: float) -> Reason:
    """Judges the model itself: the mean is of the recipe, and may not even hold the run's seed."""
    rule, title, found = "floor on the run's seed", METRICS[metric].title, evaluation.figures[metric]
    where = f"the test rows of seed {evaluation.run_seed}"
    if found.value is None:
        return _floor(rule, title, where, found, floor)
    # A split of few rows moves further than the margin; then its interval says how far.
    passed = max(found.value + margin, found.high or 0.0) >= floor
    sentence = (
        f"{title} on {where} is {found.value:.4f}{_interval(found)}; with {margin:g} for one split's chance, "
        f"or by its interval, it {'reaches' if passed else 'does not reach'} the floor of {floor:g}."
    )
    return Reason(rule=rule, passed=passed, sentence=sentence)


class _Compared(NamedTuple):
    candidate: Predictions
    production: Predictions
    rows: str


def _compared(candidate: Predictions, answers: Predictions, seen: Mask | None, least: int) -> _Compared:
    """Returns both models' answers on the rows to compare them on, and which rows those are, in words.

    A model does better on the rows that it was fitted on, so these are left out. If too few were left to show
    a loss, they stay: that favours production, and no candidate passes that should not.
    """
    if seen is None:
        return _Compared(candidate, answers, "the same test rows, of which it may have been fitted on some")
    if not seen.any():
        return _Compared(candidate, answers, "the same test rows, none of which it was fitted on")
    unseen = np.flatnonzero(~seen)
    if len(np.unique(candidate.groups[unseen])) >= least:
        rows = f"the {len(unseen):,} of {len(seen):,} test rows that it was not fitted on"
        return _Compared(candidate.take(unseen), answers.take(unseen), rows)
    share = f"{int(seen.sum()):,} of {len(seen):,}"
    return _Compared(
        candidate, answers, f"the same test rows, {share} of which it was fitted on (in its favour)"
    )


def _production(evidence: Evidence, limits: Limits) -> Reason:
    rule = "no loss against production"
    production = evidence.production
    if production is None:
        return Reason(rule=rule, passed=True, sentence="No model is in production, so nothing can be lost.")
    if production.predictions is None:
        sentence = (
            f"Production's version {production.version} takes other inputs, so these rows cannot tell. "
            "Release a model with other inputs under another name, beside the former one."
        )
        return Reason(rule=rule, passed=False, sentence=sentence)
    compared = _compared(evidence.predictions, production.predictions, production.seen, limits.min_unseen)
    title = METRICS[limits.metric].title
    what = f"{title} against production's version {production.version} on {compared.rows}"
    try:
        found = differences(
            compared.production, compared.candidate, [limits.metric], resamples=limits.resamples
        )[limits.metric]
    except PredictionsDiffer as exc:
        return Reason(rule=rule, passed=False, sentence=f"{what}, could not be compared: {exc.message}")
    if found.value is None or found.p_value is None:
        sentence = f"The difference in {what}, cannot be judged: {found.reason}."
        return Reason(rule=rule, passed=False, sentence=sentence)
    lost = found.value < 0 and found.p_value < limits.significance
    verdict = "a significant loss" if lost else "no significant loss"
    sentence = (
        f"The difference in {what}, is {found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f}, "
        f"p = {found.p_value:.3f}): {verdict} at {limits.significance:g}."
    )
    return Reason(rule=rule, passed=not lost, sentence=sentence)


def _finding(rule: str, finding: Finding | None, missing: str) -> Reason:
    if finding is None:
        return Reason(rule=rule, passed=False, sentence=missing)
    return Reason(rule=rule, passed=finding.passed, sentence=finding.sentence)


def _schema(evidence: Evidence) -> Reason:
    expected, bundle = evidence.expected_schema_digest, evidence.bundle_schema_digest
    passed = evidence.evaluation.schema_digest == expected == bundle
    sentence = (
        f"Evaluation, bundle and code carry the same feature schema, {expected[:12]}."
        if passed
        else f"The feature schemas differ: code {expected[:12]}, "
        f"evaluation {evidence.evaluation.schema_digest[:12]}, bundle {(bundle or 'none')[:12]}."
    )
    return Reason(rule="schema digest", passed=passed, sentence=sentence)


def _latency(seconds: float | None, limit: float) -> Reason:
    rule, most = "latency per row", f"{1e6 * limit:,.0f} µs are allowed"
    if seconds is None:
        return Reason(rule=rule, passed=False, sentence=f"The time for one row was not measured; {most}.")
    sentence = f"One row takes {1e6 * seconds:,.0f} µs; {most}."
    return Reason(rule=rule, passed=seconds <= limit, sentence=sentence)


def _size(size: int | None, limit: int) -> Reason:
    rule, most = "bundle size", f"{limit:,} bytes are allowed"
    if size is None:
        return Reason(rule=rule, passed=False, sentence=f"The bundle was not weighed; {most}.")
    return Reason(rule=rule, passed=size <= limit, sentence=f"The bundle has {size:,} bytes; {most}.")


def _interval(found: Estimate) -> str:
    return "" if found.low is None or found.high is None else f" ({found.low:.4f} to {found.high:.4f})"
