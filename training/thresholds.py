"""Where the second of two classes begins, chosen on the validation split for a stated objective.

A row is of the second class if its probability is at least the threshold. Only thresholds half-way between
two neighbouring scores are considered, so that the last bit of a float decides nothing.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.evaluation.results import Threshold
from training.metrics import cumulated
from training.settings import TrainingSettings
from training.workload import Labels

_HALF: Final = 0.5


def chosen(labels: Labels, scores: NDArray[np.floating], settings: TrainingSettings) -> Threshold:
    """Returns the threshold that the objective of `settings` asks for; `scores` [N] are of the second class.

    Of several that serve equally well the highest is taken: it calls the fewest rows.
    """
    if settings.threshold_objective == "f1":
        return of_best_f1(labels, scores)
    return of_false_positive_ceiling(labels, scores, settings.threshold_max_false_positive_rate)


def of_best_f1(labels: Labels, scores: NDArray[np.floating]) -> Threshold:
    """Returns the threshold of the largest F1, the highest of several; 0.5 where F1 says nothing."""
    objective = "largest F1 on validation"
    if reason := _says_nothing(labels, scores):
        return Threshold(value=_HALF, objective=objective, reason=reason)
    thresholds, hits, alarms = _candidates(labels, scores)
    f1 = 2 * hits / (hits + alarms + hits[-1])
    return Threshold(value=float(thresholds[np.argmax(f1)]), objective=objective)


def of_false_positive_ceiling(labels: Labels, scores: NDArray[np.floating], ceiling: float) -> Threshold:
    """Returns the threshold of the largest recall among those with at most `ceiling` false positives.

    Where even the highest score is a false positive too many, the threshold is above every score, and
    `reason` says so. It is never above 1, so rows with a probability of exactly 1 are called all the same.
    """
    objective = f"largest recall at {100 * ceiling:g} % false positives on validation"
    if reason := _says_nothing(labels, scores):
        return Threshold(value=_HALF, objective=objective, reason=reason)
    thresholds, hits, alarms = _candidates(labels, scores)
    allowed = alarms <= ceiling * alarms[-1]
    best = int(np.argmax(np.where(allowed, hits, -1)))
    reason = None if hits[best] else "no threshold keeps this ceiling and finds anything"
    return Threshold(value=float(thresholds[best]), objective=objective, reason=reason)


def _says_nothing(labels: Labels, scores: NDArray[np.floating]) -> str | None:
    if not len(labels):
        return "validation is empty"
    if labels.min() == labels.max():
        return "validation holds one class only"
    if scores.min() == scores.max():
        return "every validation row has the same score"
    return None


def _candidates(
    labels: Labels, scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns thresholds, highest first, with the hits and false alarms of each; the first calls nothing."""
    wide = scores.astype(np.float64)
    hits, alarms = cumulated(labels == 1, wide, np.ones((1, len(wide))))
    levels = np.unique(wide)[::-1]
    thresholds = np.concatenate(([(levels[0] + 1) / 2], (levels[:-1] + levels[1:]) / 2, [levels[-1] / 2]))
    return thresholds, np.concatenate(([0], hits[0])), np.concatenate(([0], alarms[0]))
