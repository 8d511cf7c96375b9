"""Live figures from feedback, judged against the certificate's.

Both sides are samples: a figure of the certificate stands on as many rows as the test split had. How many
those were is not kept with a bundle; the validation split, which is the reference, is as large and stands in.

Precision, recall and F1 say whether the promise is kept (performance). Recall and specificity, each within
one true class, do not move with the mix of classes: if they fall, what makes a class has changed (concept).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.columns import SCORE, Column, Sample
from monitoring.drift.reference import Reference, answered
from monitoring.drift.result import Verdict
from monitoring.drift.verdicts import Strictness, holm, judge
from monitoring.drift.words import percent
from monitoring.performance.confusion import (
    ACCURACY,
    F1,
    PRECISION,
    RECALL,
    SPECIFICITY,
    Counts,
    confusion,
    figures,
    names,
    shares,
)
from monitoring.performance.intervals import interval, resampled
from monitoring.performance.result import LiveFigure, LivePerformance
from records.repositories.prediction_windows import Labelled, Period, Served, Window

PERFORMANCE: Final = (PRECISION, RECALL, F1, ACCURACY)
CONCEPT: Final = (RECALL, SPECIFICITY, ACCURACY)
_CERTIFICATE: Final = "test_"
_SEED: Final = 11


class Tolerance(NamedTuple):
    """What it takes for a figure to be worse."""

    false_alarms: float = 0.01
    floor: float = 0.05


class Asked(NamedTuple):
    """What is measured: a version, a period, and when that is done."""

    served: Served
    since: datetime
    until: datetime
    now: datetime

    @property
    def period(self) -> Period:
        """The bounds of the window."""
        return Period(self.since, self.until)


def live(
    reference: Reference, labelled: Labelled, window: Window, asked: Asked, tolerance: Tolerance
) -> LivePerformance:
    """Returns the figures of the labelled rows; `window` is all that was answered in the period.

    Rows with a label that the contract does not know are left out, and told.
    """
    classes = {name: at for at, name in enumerate(reference.contract.classes)}
    truth, answers = (
        np.array([classes.get(label, -1) for label in labels], dtype=np.int64)
        for labels in (labelled.true, labelled.answered)
    )
    known = (truth >= 0) & (answers >= 0)
    counts = confusion(truth[known], answers[known], len(classes))
    certified = certificate(reference)
    found = judged(counts, certified, promised(reference), tolerance)
    notes = []
    if not known.all():
        notes.append(f"{int((~known).sum())} labels are of no class of the model, and were left out.")
    note = selection(labelled.probabilities, window.probabilities)
    if note:
        notes.append(note)
    worse = [figure.name for figure in found if figure.worse]
    return LivePerformance(
        model=asked.served.model_name,
        environment=asked.served.environment,
        version=asked.served.model_version,
        window_start=asked.since,
        window_end=asked.until,
        measured_at=asked.now,
        estimate=False,
        rows=int(known.sum()),
        of_rows=len(window),
        figures=found,
        degraded=any(name in PERFORMANCE for name in worse),
        concept_drift=any(name in CONCEPT for name in worse),
        sentence=sentence(found, f"by {int(known.sum()):,} labels"),
        notes=tuple(notes),
    )


def certificate(reference: Reference) -> Counts:
    """Returns the counts of the reference, answered by the contract's threshold."""
    answers = answered(reference.contract, reference.probabilities)
    return confusion(reference.truth, answers, len(reference.contract.classes))


def promised(reference: Reference) -> dict[str, float]:
    """Returns the certificate's figures; one that it does not state is that of the reference."""
    own = figures(certificate(reference))
    metrics = reference.contract.metrics
    stated = {name: metrics.get(f"{_CERTIFICATE}{name}", float(value)) for name, value in own.items()}
    return {name: value for name, value in stated.items() if not np.isnan(value)}


def judged(
    counts: Counts, certified: Counts, stated: dict[str, float], tolerance: Tolerance
) -> tuple[LiveFigure, ...]:
    """Returns each figure of `counts` that has a value, judged against the stated one."""
    random = np.random.default_rng(_SEED)
    values = {name: float(value) for name, value in figures(counts).items() if not np.isnan(value)}
    tested = {
        name: _p_value(counts, certified, stated[name], name, random) for name in values if name in stated
    }
    adjusted: dict[str, float] = {}
    for kind in (PERFORMANCE, CONCEPT):
        for name, (value, _) in holm({name: tested[name] for name in kind if name in tested}).items():
            adjusted[name] = min(value, adjusted.get(name, 1.0))
    return tuple(
        LiveFigure(
            name=name,
            value=values[name],
            low=(spread := interval(counts, name, random)).low,
            high=spread.high,
            certificate=stated[name],
            certificate_rows=int(shares(certified)[name][1]),
            p_value=adjusted[name],
            worse=adjusted[name] <= tolerance.false_alarms and stated[name] - values[name] >= tolerance.floor,
        )
        for name in names(counts.shape[-1])
        if name in adjusted
    )


def selection(labelled: NDArray[np.float64], everything: NDArray[np.float64]) -> str | None:
    """Returns a warning if the labelled rows are not a random choice: people report what is wrong."""
    if not len(labelled) or len(labelled) == len(everything):
        return None
    column = (Column("probability", SCORE),)
    all_rows, some = (Sample(column, scores.astype(np.float32)[:, None]) for scores in (everything, labelled))
    found = judge(all_rows, some, Strictness(deals=1000))
    if found[0].verdict is Verdict.QUIET:
        return None
    return (
        "The labelled predictions are no random choice of the traffic: their scores are "
        f"{found[0].features[0].current}, those of all {found[0].features[0].reference}. The figures hold "
        "for what people label."
    )


def sentence(found: Sequence[LiveFigure], source: str) -> str:
    """Returns the verdict on the figures as a sentence."""
    worse = [figure for figure in found if figure.worse]
    if not found:
        return f"There is nothing to judge {source}."
    if not worse:
        return f"No figure is below the certificate's beyond chance, {source}."
    told = ", ".join(
        f"{figure.name} {percent(figure.value)} ({percent(figure.low)} to {percent(figure.high)}) instead of "
        f"{percent(figure.certificate)}"
        for figure in worse
    )
    return f"Worse than the certificate, {source}: {told}."


def _p_value(
    counts: Counts, certified: Counts, stated: float, name: str, random: np.random.Generator
) -> float:
    """Returns how likely a fall so large is if both are samples of the same: Fisher's exact test, one-sided.

    F1 is no share of independent rows; for it the two are drawn again and again from their counts.
    """
    from scipy.stats import fisher_exact

    hits, of = (float(part) for part in shares(counts)[name])
    rows = float(shares(certified)[name][1])
    if name == F1:
        ours = figures(resampled(counts, random))[F1]
        theirs = figures(resampled(certified, random))[F1]
        theirs = theirs - np.nanmean(theirs) + stated
        return float((1 + np.nansum(ours >= theirs)) / (1 + len(ours)))
    expected = round(stated * rows)
    table = [[hits, of - hits], [expected, rows - expected]]
    return float(fisher_exact(np.array(table, dtype=np.int64), alternative="less").pvalue)
