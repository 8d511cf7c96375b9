"""What the figures should be, without a label: an estimate from calibrated scores.

A score of 0.9 that is calibrated is right nine times of ten; so the expected counts of right and wrong
answers follow from the scores alone (confidence-based performance estimation, as in NannyML). The scores are
calibrated by isotonic regression on the reference, whose truth is known. The interval holds what calibration
does not know (the reference drawn anew), which rows happened to come, and that a probability is no certainty.

It sees a change of the inputs, as far as the model knows its way about them. It cannot see a change of what
makes a message what it is: then scores promise what no longer holds. That is why it is always marked.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.reference import Reference, answered, scored
from monitoring.performance.confusion import Counts, confusion, figures, names, shares
from monitoring.performance.live import PERFORMANCE, Asked, Tolerance, certificate
from monitoring.performance.live import sentence as in_words
from monitoring.performance.result import LiveFigure, LivePerformance
from records.repositories.prediction_windows import Window

_DRAWS: Final = 200
_MOST: Final = 5000
"""Rows of the window that each draw takes: more do not narrow what calibration leaves open."""
_BINARY: Final = 2
_SEED: Final = 13

Vector = NDArray[np.float64]


def estimate(reference: Reference, window: Window, asked: Asked, tolerance: Tolerance) -> LivePerformance:
    """Returns the figures that the scores of `window` promise.

    One is worse if its whole interval lies below that of the reference's own figure by the floor or more.
    """
    classes = reference.contract.classes
    scores = window.probabilities
    answers = _answers(reference, window)
    known = scored(reference.probabilities)
    true = _came_true(reference)
    random = np.random.default_rng(_SEED)
    promised = calibrated(known, true, scores)
    values = {
        name: float(value) for name, value in figures(_expected(promised, answers, len(classes))).items()
    }
    drawn = _drawn(known, true, scores, answers, random, len(classes))
    own = figures(certificate(reference))
    rows = {name: int(part[1]) for name, part in shares(certificate(reference)).items()}
    found = []
    for name in names(len(classes)):
        spread = drawn[name][~np.isnan(drawn[name])]
        if np.isnan(values[name]) or np.isnan(own[name]) or not spread.size:
            continue
        low, high = (float(edge) for edge in np.quantile(spread, (0.025, 0.975)))
        found.append(
            LiveFigure(
                name=name,
                value=values[name],
                low=min(low, values[name]),
                high=max(high, values[name]),
                certificate=float(own[name]),
                certificate_rows=rows[name],
                p_value=1.0,
                worse=bool(max(high, values[name]) <= float(own[name]) - tolerance.floor),
            )
        )
    return LivePerformance(
        model=asked.served.model_name,
        environment=asked.served.environment,
        version=asked.served.model_version,
        window_start=asked.since,
        window_end=asked.until,
        measured_at=asked.now,
        estimate=True,
        rows=len(window),
        of_rows=len(window),
        figures=tuple(found),
        degraded=any(figure.worse and figure.name in PERFORMANCE for figure in found),
        concept_drift=False,
        sentence=in_words(found, f"by an estimate from {len(window):,} scores, without labels"),
        notes=(
            "An estimate: it holds if only the inputs have changed, and not what makes them what they are.",
        ),
    )


def calibrated(known: Vector, true: Vector, scores: Vector) -> Vector:
    """Returns the probability [N] that each of `scores` comes true, by isotonic regression on M known ones.

    It stays between half a row's share from 0 and from 1: M rows cannot tell more.
    """
    from scipy.optimize import isotonic_regression

    values, place, counts = np.unique(known, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=true) / counts
    fitted = isotonic_regression(means, weights=counts).x
    bound = 0.5 / len(known)
    return np.asarray(np.clip(np.interp(scores, values, fitted), bound, 1 - bound), dtype=np.float64)


def _answers(reference: Reference, window: Window) -> NDArray[np.int64]:
    classes = {name: at for at, name in enumerate(reference.contract.classes)}
    return np.array([classes.get(label, 0) for label in window.labels], dtype=np.int64)


def _came_true(reference: Reference) -> Vector:
    """Returns for each row of the reference whether what its score is of was true, 0 or 1."""
    came = reference.truth == (
        1
        if len(reference.contract.classes) == _BINARY
        else answered(reference.contract, reference.probabilities)
    )
    return np.asarray(came, dtype=np.float64)


def _expected(promised: Vector, answers: NDArray[np.int64], classes: int) -> Counts:
    """Returns the expected counts: with two classes by class, with more only right and wrong."""
    if classes == _BINARY:
        counts = np.zeros((2, 2))
        for answer in (0, 1):
            of = promised[answers == answer]
            counts[:, answer] = (1 - of).sum(), of.sum()
        return counts
    counts = np.zeros((classes, classes))
    counts[0, 0], counts[0, 1] = promised.sum(), (1 - promised).sum()
    return counts


def _drawn(
    known: Vector,
    true: Vector,
    scores: Vector,
    answers: NDArray[np.int64],
    random: np.random.Generator,
    classes: int,
) -> dict[str, Vector]:
    counts = []
    for _ in range(_DRAWS):
        again = random.integers(0, len(known), len(known))
        rows = random.integers(0, len(scores), min(len(scores), _MOST))
        promised = calibrated(known[again], true[again], scores[rows])
        came = (random.random(len(rows)) < promised).astype(np.float64)
        if classes == _BINARY:
            counts.append(confusion(came.astype(np.int64), answers[rows], 2))
        else:
            counts.append(_expected(came, answers[rows], classes))
    return dict(figures(np.stack(counts)))
