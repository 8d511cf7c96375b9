"""What the answers on one test split look like from several sides."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.evaluation.models import Model
from training.evaluation.predictions import Predictions
from training.evaluation.results import Curve, CurvePoint, Error, Importance, Slice
from training.evaluation.run import Run
from training.intervals import estimates
from training.metrics import BINARY, answers, cumulated
from training.workload import Indices, Rows

MOST_ERRORS: Final = 50
MOST_FEATURES: Final = 30

_MOST_POINTS: Final = 250
_MOST_EXPLAINED: Final = 2000


def confusion_of(predictions: Predictions, classes: int) -> tuple[tuple[int, ...], ...]:
    """Returns how often each class (row) was answered as each (column), [K][K]."""
    answered = answers(predictions.probabilities, predictions.threshold)
    counts = np.bincount(predictions.labels * classes + answered, minlength=classes * classes)
    return tuple(tuple(row) for row in counts.reshape(classes, classes).tolist())


def curves_of(predictions: Predictions, classes: Sequence[str]) -> tuple[Curve, ...]:
    """Returns the curve of the second class, or with more than two of every class that has both sides."""
    looked_for = range(1, 2) if len(classes) == BINARY else range(len(classes))
    return tuple(
        Curve(class_name=classes[index], points=_points(is_class, predictions.probabilities[:, index]))
        for index in looked_for
        if (is_class := predictions.labels == index).any() and not is_class.all()
    )


def _points(is_class: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[CurvePoint, ...]:
    all_hits, all_alarms = cumulated(is_class, scores, np.ones((1, len(scores))))
    hits, alarms, levels = all_hits[0], all_alarms[0], np.unique(scores)[::-1]
    kept = _thinned(hits, alarms)
    recalls, false_rates = hits / hits[-1], alarms / alarms[-1]
    precisions, f1 = hits / (hits + alarms), 2 * hits / (hits + alarms + hits[-1])
    return tuple(
        CurvePoint(
            threshold=float(levels[at]),
            recall=float(recalls[at]),
            precision=float(precisions[at]),
            false_positive_rate=float(false_rates[at]),
            f1=float(f1[at]),
        )
        for at in kept
    )


def _thinned(hits: NDArray[np.float64], alarms: NDArray[np.float64]) -> Indices:
    """Returns which points to keep: the corners, where hits turn into alarms or back, and some between."""
    gained_hits, gained_alarms = np.diff(hits, prepend=0) > 0, np.diff(alarms, prepend=0) > 0
    turns = (gained_hits[1:] != gained_hits[:-1]) | (gained_alarms[1:] != gained_alarms[:-1])
    corners = np.flatnonzero(turns)
    spread = np.linspace(0, len(hits) - 1, min(len(hits), _MOST_POINTS // 2)).astype(np.intp)
    if len(corners) > _MOST_POINTS // 2:
        corners = corners[np.linspace(0, len(corners) - 1, _MOST_POINTS // 2).astype(np.intp)]
    return np.union1d(corners, spread)


def slices_of(run: Run, test: Indices, predictions: Predictions) -> tuple[Slice, ...]:
    """Returns the figures of each slice of the test rows; an empty one has counts of zero and reasons."""
    found = []
    for name, mask in run.dataset.slices.items():
        part = predictions.take(mask[test])
        counts = np.bincount(part.labels, minlength=len(run.classes))
        found.append(
            Slice(
                name=name,
                rows=len(part),
                by_class=dict(zip(run.classes, counts.tolist(), strict=True)),
                figures=estimates(part, run.classes, resamples=run.resamples),
            )
        )
    return tuple(found)


def importance_of(model: Model, rows: Rows) -> tuple[tuple[Importance, ...], str | None]:
    """Returns the features that move the log odds most on `rows`, or none and the reason."""
    step = -(-len(rows) // _MOST_EXPLAINED)
    matrix = model.featuriser.matrix(rows.take(np.arange(0, len(rows), step)).inputs)
    contributions = model.fitted.contributions(matrix)
    if contributions is None:
        return (), "this estimator cannot tell what each feature adds"
    means = np.abs(contributions).mean(axis=0)
    order = np.argsort(-means, kind="stable")[:MOST_FEATURES]
    names = model.featuriser.feature_names
    return tuple(
        Importance(feature=names[at], mean_contribution=float(means[at])) for at in order if means[at] > 0
    ), None


def errors_of(
    predictions: Predictions, titles: Sequence[str], classes: Sequence[str]
) -> tuple[tuple[Error, ...], int]:
    """Returns the most confident mistakes, at most 50, and how many there are in all.

    `titles` [N] are of the same rows, or empty.
    """
    answered = answers(predictions.probabilities, predictions.threshold)
    wrong = np.flatnonzero(answered != predictions.labels)
    sure = predictions.probabilities[wrong, answered[wrong]]
    listed = wrong[np.argsort(-sure, kind="stable")][:MOST_ERRORS]
    return tuple(
        Error(
            id=str(predictions.ids[at]),
            title=_encodable(titles[at]) if titles else "",
            label=classes[predictions.labels[at]],
            predicted=classes[answered[at]],
            probability=float(predictions.probabilities[at, answered[at]]),
        )
        for at in listed
    ), len(wrong)


def _encodable(title: str) -> str:
    """Returns `title` with its lone surrogates, of bytes that are no text, written as escapes."""
    return title.encode("utf-8", "backslashreplace").decode()
