"""Where the second of two classes begins, chosen on the validation split for a stated objective.

A row is of the second class if its probability is at least the threshold. Only thresholds half-way between
two neighbouring scores are considered, so that the last bit of a float decides nothing.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.evaluation.results import Threshold
from training.intervals import weights_of
from training.metrics import Values, cumulated
from training.settings import TrainingSettings
from training.workload import Labels

RESAMPLES: Final = 300

_HALF: Final = 0.5
_LEAST: Final = float(np.finfo(np.float32).eps)


def chosen(
    labels: Labels, scores: NDArray[np.floating], groups: NDArray[np.str_], settings: TrainingSettings
) -> Threshold:
    """Returns the threshold that the objective of `settings` asks for.

    `scores` [N] are of the second class; `groups` [N] names the cluster of copies of each row.
    """
    if settings.threshold_objective == "f1":
        return of_best_f1(labels, scores, groups)
    return of_false_positive_ceiling(labels, scores, settings.threshold_max_false_positive_rate)


def of_best_f1(labels: Labels, scores: NDArray[np.floating], groups: NDArray[np.str_]) -> Threshold:
    """Returns the threshold of the largest F1, averaged over resamples; 0.5 where F1 says nothing.

    The best threshold of one sample hangs on a few rows and jumps from sample to sample. So the best one of
    each of 300 resamples of whole groups is found (of equally good ones the middle), and their mean on the
    scale of the log odds is taken: bagging (Breiman, Machine Learning 24, 1996). docs/evaluation.md says what
    this is worth.
    """
    objective = "largest F1 on validation, averaged over resamples"
    if reason := _says_nothing(labels, scores):
        return Threshold(value=_HALF, objective=objective, reason=reason)
    found = [_log_odds_of_best(labels, scores, np.ones((1, len(labels))))]
    found += [_log_odds_of_best(labels, scores, weights) for weights in weights_of(groups, RESAMPLES)]
    mean = 1 / (1 + np.exp(-np.concatenate(found).mean()))
    candidates = _candidates(labels, scores, np.ones((1, len(labels))))
    between = int((candidates.levels >= mean).sum())
    return Threshold(value=float(candidates.thresholds[between]), objective=objective)


def of_false_positive_ceiling(labels: Labels, scores: NDArray[np.floating], ceiling: float) -> Threshold:
    """Returns the threshold of the largest recall among those with at most `ceiling` false positives.

    Of several with the same recall the highest is taken. Where even the highest score is a false positive
    too many, the threshold is above every score, and `reason` says so. It is never above 1, so rows with a
    probability of exactly 1 are called all the same.
    """
    objective = f"largest recall at {100 * ceiling:g} % false positives on validation"
    if reason := _says_nothing(labels, scores):
        return Threshold(value=_HALF, objective=objective, reason=reason)
    candidates = _candidates(labels, scores, np.ones((1, len(labels))))
    hits, alarms = candidates.hits[0], candidates.alarms[0]
    best = int(np.argmax(np.where(alarms <= ceiling * alarms[-1], hits, -1)))
    reason = None if hits[best] else "no threshold keeps this ceiling and finds anything"
    return Threshold(value=float(candidates.thresholds[best]), objective=objective, reason=reason)


def _says_nothing(labels: Labels, scores: NDArray[np.floating]) -> str | None:
    if not len(labels):
        return "validation is empty"
    if labels.min() == labels.max():
        return "validation holds one class only"
    if scores.min() == scores.max():
        return "every validation row has the same score"
    return None


class _Candidates(NamedTuple):
    """U distinct scores and U + 1 thresholds, both from the highest; the first threshold calls nothing."""

    levels: Values
    thresholds: Values
    hits: Values
    """Weight of the second class at or above each threshold, [B, U + 1]."""
    alarms: Values
    """The same of the first class."""


def _candidates(labels: Labels, scores: NDArray[np.floating], weights: Values) -> _Candidates:
    wide = scores.astype(np.float64)
    hits, alarms = cumulated(labels == 1, wide, weights)
    levels = np.unique(wide)[::-1]
    ends = [(levels[0] + 1) / 2], [levels[-1] / 2]
    thresholds = np.concatenate((ends[0], (levels[:-1] + levels[1:]) / 2, ends[1]))
    nothing = np.zeros((len(weights), 1))
    return _Candidates(levels, thresholds, np.hstack((nothing, hits)), np.hstack((nothing, alarms)))


def _log_odds_of_best(labels: Labels, scores: NDArray[np.floating], weights: Values) -> Values:
    """Returns the log odds of the best threshold of each resample that holds both classes, at most [B]."""
    _, thresholds, hits, alarms = _candidates(labels, scores, weights)
    has_both = (hits[:, -1] > 0) & (alarms[:, -1] > 0)
    hits, alarms = hits[has_both], alarms[has_both]
    f1 = 2 * hits / (hits + alarms + hits[:, -1:])
    is_best = f1 == f1.max(axis=1, keepdims=True)
    highest = is_best.argmax(axis=1)
    lowest = is_best.shape[1] - 1 - is_best[:, ::-1].argmax(axis=1)
    inside = np.clip(thresholds, _LEAST, 1 - _LEAST)
    log_odds = np.log(inside / (1 - inside))
    middle: Values = (log_odds[highest] + log_odds[lowest]) / 2
    return middle
