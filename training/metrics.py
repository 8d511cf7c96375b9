"""The metrics of a classifier, of one sample or of many resamples at once.

Every metric is a function of row weights: weights of one give the plain figure, and the counts of a bootstrap
resample give the figure of that resample. So there is one formula for a figure and for its interval, and
scikit-learn, which takes sample weights too, judges both (tests/training/test_evaluation_metrics.py).

With two classes, the second is the one that is looked for. With more, F1, precision, recall, ROC AUC and PR
AUC are means over the classes, each against the others. N rows, K classes, B resamples.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kit.errors import CallerError
from training.calibration import BINS, promises
from training.workload import Labels

Values = NDArray[np.float64]

BINARY: Final = 2
_SUM_TOLERANCE: Final = 1e-3
# The model answers in float32: a probability of nothing is below what it can tell from nothing.
_LEAST_PROBABILITY: Final = float(np.finfo(np.float32).eps)


class Metric(NamedTuple):
    """What a metric is called for people, which way it is better, and whether it needs two classes."""

    title: str
    more_is_better: bool = True
    only_binary: bool = False


METRICS: Final[Mapping[str, Metric]] = {
    "f1": Metric("F1"),
    "precision": Metric("Precision"),
    "recall": Metric("Recall"),
    "specificity": Metric("Specificity", only_binary=True),
    "accuracy": Metric("Accuracy"),
    "roc_auc": Metric("ROC AUC"),
    "pr_auc": Metric("PR AUC (average precision)"),
    "recall_at_fpr_0.001": Metric("Recall at 0.1 % false positives", only_binary=True),
    "recall_at_fpr_0.01": Metric("Recall at 1 % false positives", only_binary=True),
    "log_loss": Metric("Log loss", more_is_better=False),
    "brier": Metric("Brier score", more_is_better=False),
    "ece": Metric("Expected calibration error", more_is_better=False),
}

_CEILINGS: Final = {"recall_at_fpr_0.001": 0.001, "recall_at_fpr_0.01": 0.01}


class PredictionsInvalid(CallerError):
    """Labels and probabilities that no metric can be computed from."""

    status = 422
    code = "predictions_invalid"
    title = "Predictions are not valid"


def check(labels: Labels, probabilities: NDArray[np.floating], classes: Sequence[str]) -> None:
    """Passes if the predictions are [N, K] of probabilities for N labels below K.

    Raises:
        PredictionsInvalid: a shape, a label or a probability is wrong; the message says which.
    """
    count = len(classes)
    if probabilities.ndim != BINARY or probabilities.shape != (len(labels), count):
        wrong = f"probabilities have shape {probabilities.shape} for {len(labels)} labels and {count} classes"
    elif count < BINARY:
        wrong = "a classifier has at least two classes"
    elif len(labels) and (labels.min() < 0 or labels.max() >= count):
        wrong = f"a label is outside 0 to {count - 1}"
    elif not np.isfinite(probabilities).all():
        row = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        wrong = f"row {row} has a probability that is not a number"
    elif len(labels) and (probabilities.min() < 0 or probabilities.max() > 1 + _SUM_TOLERANCE):
        wrong = "a probability is outside 0 to 1"
    elif (np.abs(probabilities.sum(axis=1) - 1) > _SUM_TOLERANCE).any():
        wrong = "the probabilities of a row do not add up to 1"
    else:
        return
    raise PredictionsInvalid(
        f"The model's answers cannot be judged: {wrong}.",
        next_step="Look at the estimator's `probabilities`; nothing was evaluated.",
    )


def answers(probabilities: NDArray[np.floating], threshold: float | None) -> Labels:
    """Returns the class of each row, int64 [N].

    With a threshold: 1 where the second class has at least that probability. Without: the most probable
    class, the first of them where several are equal.
    """
    if threshold is None:
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
    return np.asarray(probabilities[:, 1] >= threshold, dtype=np.int64)


def values(
    labels: Labels,
    probabilities: Values,
    threshold: float | None,
    weights: NDArray[np.floating] | None = None,
) -> dict[str, Values]:
    """Returns each metric of METRICS for each row of `weights` [B, N], as [B]; NaN where it is undefined.

    Without weights B is 1 and every row counts once. `undefined` tells why a figure is NaN.
    """
    weights = np.ones((1, len(labels))) if weights is None else weights
    if not len(labels):
        return {name: np.full(len(weights), np.nan) for name in METRICS}
    total = weights.sum(axis=1)
    found = {name: np.full(len(weights), np.nan) for name, metric in METRICS.items() if metric.only_binary}
    found |= _by_answer(labels, answers(probabilities, threshold), probabilities.shape[1], weights, total)
    found |= _by_rank(labels, probabilities, weights)
    found |= _by_probability(labels, probabilities, weights, total)
    return {name: found[name] for name in METRICS}


def undefined(name: str, labels: Labels, answered: Labels, classes: Sequence[str]) -> str:
    """Returns why the metric `name` has no value on these rows."""
    if not len(labels):
        return "there are no rows"
    if METRICS[name].only_binary and len(classes) > BINARY:
        return "it is defined for two classes"
    looked_for = range(1, 2) if len(classes) == BINARY else range(len(classes))
    needed = range(len(classes)) if name == "roc_auc" or name in _CEILINGS else looked_for
    if name == "specificity":
        needed = range(1)
    source, what = (answered, "was answered") if name == "precision" else (labels, "is here")
    missing = [classes[index] for index in needed if not (source == index).any()]
    return f"no {' and no '.join(missing)} {what}"


def _by_answer(
    labels: Labels, answered: Labels, count: int, weights: NDArray[np.floating], total: Values
) -> dict[str, Values]:
    looked_for = np.arange(1, 2) if count == BINARY else np.arange(count)
    of_class = labels[:, None] == looked_for
    as_class = answered[:, None] == looked_for
    real, called, right = weights @ of_class, weights @ as_class, weights @ (of_class & as_class)
    found = {
        # A class that does not occur has no F1, even if it was answered: that error shows in specificity.
        "f1": np.where(real > 0, _ratio(2 * right, real + called), np.nan).mean(axis=1),
        "precision": _ratio(right, called).mean(axis=1),
        "recall": _ratio(right, real).mean(axis=1),
        "accuracy": _ratio(weights @ (labels == answered), total),
    }
    if count == BINARY:
        found["specificity"] = _ratio((total[:, None] - real - called + right), total[:, None] - real)[:, 0]
    return found


def _by_rank(labels: Labels, probabilities: Values, weights: NDArray[np.floating]) -> dict[str, Values]:
    count = probabilities.shape[1]
    found: dict[str, list[Values]] = {"roc_auc": [], "pr_auc": []}
    for index in range(1, 2) if count == BINARY else range(count):
        hits, alarms = cumulated(labels == index, probabilities[:, index], weights)
        real, others = hits[:, -1], alarms[:, -1]
        new_hits = np.diff(hits, prepend=0, axis=1)
        new_alarms = np.diff(alarms, prepend=0, axis=1)
        area = (new_alarms * (hits - new_hits / 2)).sum(axis=1)
        found["roc_auc"].append(_ratio(area, real * others))
        precision = np.nan_to_num(_ratio(hits, hits + alarms))
        found["pr_auc"].append(_ratio((new_hits * precision).sum(axis=1), real))
        if count == BINARY:
            for name, ceiling in _CEILINGS.items():
                allowed = alarms <= ceiling * others[:, None]
                best = np.where(allowed, hits, 0).max(axis=1)
                found[name] = [np.where(others > 0, _ratio(best, real), np.nan)]
    return {name: np.mean(each, axis=0) for name, each in found.items()}


def cumulated(
    is_class: NDArray[np.bool_], scores: Values, weights: NDArray[np.floating]
) -> tuple[Values, Values]:
    """Returns the weight of hits and of false alarms at or above each distinct score, highest first, [B, U].

    Rows of equal score enter together, so no order among them is made up.
    """
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    ordered = weights[:, order]
    hits = np.add.reduceat(ordered * is_class[order], starts, axis=1).cumsum(axis=1)
    both = np.add.reduceat(ordered, starts, axis=1).cumsum(axis=1)
    return hits, both - hits


def _by_probability(
    labels: Labels, probabilities: Values, weights: NDArray[np.floating], total: Values
) -> dict[str, Values]:
    truth = np.eye(probabilities.shape[1])[labels]
    of_truth = np.clip(probabilities[np.arange(len(labels)), labels], _LEAST_PROBABILITY, 1)
    squares = ((probabilities - truth) ** 2).sum(axis=1)
    # Brier's own sum over all classes counts each miss of two classes twice; half of it is the usual form.
    scale = 0.5 if probabilities.shape[1] == BINARY else 1.0
    made = promises(labels, probabilities)
    gaps = np.zeros((len(labels), BINS))
    gaps[np.arange(len(labels)), made.bin] = made.probability - made.came_true
    return {
        "log_loss": _ratio(weights @ -np.log(of_truth), total),
        "brier": _ratio(weights @ (scale * squares), total),
        "ece": _ratio(np.abs(weights @ gaps).sum(axis=1), total),
    }


def _ratio(above: NDArray[np.floating], below: NDArray[np.floating]) -> Values:
    """Returns above / below, NaN where nothing is below."""
    shares = np.full(below.shape, np.nan)
    np.divide(above, below, out=shares, where=below > 0)
    return shares
