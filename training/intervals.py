"""How sure a figure is: bootstrap intervals on one test split, and the interval of a mean over splits.

Resamples draw whole groups with replacement (the cluster bootstrap: Field and Welsh, Bootstrapping
Clustered Data, J. R. Statist. Soc. B 69, 2007): rows that are copies of each other are not independent, and
drawing them one by one would make every interval too narrow. All intervals are two-sided at 95 %.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kit.errors import CallerError
from training.evaluation.predictions import Predictions
from training.evaluation.results import Difference, Estimate
from training.metrics import METRICS, Values, answers, undefined, values

LEVEL: Final = 0.95
LEAST_GROUPS: Final = 10
"""Fewer groups than these give a figure, and no interval."""
SEED: Final = 20021115
"""Of the resamples: the same rows give the same interval, whatever the seed of the run."""

_LEAST_DEFINED: Final = 0.9
"""Share of resamples in which a metric must be defined; else the interval leaves out the odd ones."""
_CELLS: Final = 2_000_000
"""Weights that are held at a time."""


class PredictionsDiffer(CallerError):
    """Two models were not judged on the same rows."""

    status = 422
    code = "predictions_differ"
    title = "Predictions are of different rows"


def estimates(predictions: Predictions, classes: Sequence[str], *, resamples: int) -> dict[str, Estimate]:
    """Returns each metric on these rows with its percentile bootstrap interval."""
    labels, probabilities = predictions.labels, predictions.probabilities
    plain = values(labels, probabilities, predictions.threshold)
    answered = answers(probabilities, predictions.threshold)
    too_few = _too_few(predictions)
    drawn = {} if too_few else _resampled(predictions, predictions.groups, resamples)
    found = {}
    for name in METRICS:
        value = float(plain[name][0])
        if np.isnan(value):
            found[name] = Estimate(value=None, reason=undefined(name, labels, answered, classes))
        elif too_few:
            found[name] = Estimate(value=value, reason=too_few)
        else:
            low, high, reason = _percentiles(drawn[name])
            if reason is None and low == high:
                # Zero errors in n rows do not prove that there are none: no interval is better than a point.
                low, high, reason = None, None, "every resample gives the same: an interval would be a point"
            found[name] = Estimate(value=value, low=low, high=high, reason=reason)
    return found


def differences(
    first: Predictions, second: Predictions, names: Sequence[str], *, resamples: int
) -> dict[str, Difference]:
    """Returns `second` less `first` for each of the metrics `names`, by a paired bootstrap on the same rows.

    Both are judged on the same resamples, so what makes a resample hard for both cancels out. The two-sided
    p-value is twice the smaller share of resamples on either side of zero, with one added to each count.

    Raises:
        PredictionsDiffer: the rows or the labels of the two are not the same.
    """
    if not (np.array_equal(first.ids, second.ids) and np.array_equal(first.labels, second.labels)):
        raise PredictionsDiffer(
            "Two models can only be compared on the same test rows, in the same order.",
            next_step="Score both on the test split of this run.",
        )
    too_few = _too_few(first)
    before = {} if too_few else _resampled(first, first.groups, resamples)
    after = {} if too_few else _resampled(second, first.groups, resamples)
    plain = values(first.labels, first.probabilities, first.threshold)
    other = values(second.labels, second.probabilities, second.threshold)
    found = {}
    for name in names:
        value = float(other[name][0] - plain[name][0])
        if np.isnan(value):
            found[name] = Difference(value=None, reason="the metric is undefined for one of the two")
        elif too_few:
            found[name] = Difference(value=value, reason=too_few)
        else:
            drawn = after[name] - before[name]
            low, high, reason = _percentiles(drawn)
            p_value = None if reason else _two_sided(drawn[~np.isnan(drawn)])
            found[name] = Difference(value=value, low=low, high=high, p_value=p_value, reason=reason)
    return found


def mean_over_splits(figures: Sequence[float], *, test_share: float) -> Estimate:
    """Returns the mean of one figure over random splits of the same data, with its t interval.

    The splits share rows, so their figures are not independent, and the plain standard error is too small.
    The variance is widened by `test_share`, test rows for each training row (Nadeau and Bengio, Inference for
    the Generalization Error, Machine Learning 52, 2003): s² (1 / J + test / train), J - 1 degrees of freedom.
    """
    from scipy.stats import t

    mean = float(np.mean(figures))
    if len(figures) < 2:  # noqa: PLR2004 - one figure has no spread
        return Estimate(value=mean, reason="one split has no spread")
    spread = float(np.std(figures, ddof=1)) * np.sqrt(1 / len(figures) + test_share)
    half = float(t.ppf((1 + LEVEL) / 2, len(figures) - 1) * spread)
    return Estimate(value=mean, low=mean - half, high=mean + half)


def _too_few(predictions: Predictions) -> str | None:
    groups = len(np.unique(predictions.groups))
    if groups >= LEAST_GROUPS:
        return None
    return f"{groups} independent rows are too few for an interval"


def _resampled(predictions: Predictions, groups: NDArray[np.str_], resamples: int) -> Mapping[str, Values]:
    parts = [
        values(predictions.labels, predictions.probabilities, predictions.threshold, weights)
        for weights in weights_of(groups, resamples)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}


def weights_of(groups: NDArray[np.str_], resamples: int) -> Iterator[NDArray[np.float64]]:
    """Yields how often each row is drawn in each resample, [b, N] at a time, `resamples` in all."""
    _, number_of = np.unique(groups, return_inverse=True)
    count = int(number_of.max()) + 1
    random = np.random.default_rng(SEED)
    step = max(1, _CELLS // len(groups))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = random.integers(count, size=(size, count)) + np.arange(size)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        yield times[:, number_of].astype(np.float64)


class _Ends(NamedTuple):
    low: float | None
    high: float | None
    reason: str | None


def _percentiles(drawn: Values) -> _Ends:
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < _LEAST_DEFINED * len(drawn):
        return _Ends(None, None, "undefined in too many resamples for an interval: a class is too rare here")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return _Ends(float(low), float(high), None)


def _two_sided(drawn: Values) -> float:
    fewer = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (len(drawn) + 1))
