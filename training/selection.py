"""Which trial of a search is taken: the best one, if it beats the workload's defaults beyond noise.

The best of many equal points looks better than it is, and the defaults are known to be good. So they stay
unless the best trial is ahead of them by more than the standard error of such a difference (the one-standard-
error rule of Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, between two
points). What this is worth was measured: docs/model-quality.md.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from training.trials import Trial
from training.workload import Parameters

_LEAST_FOLDS: Final = 2
"""One fold has no spread, so nothing tells what noise is."""


class Selection(NamedTuple):
    """The trial that is taken, and what it was held against."""

    trial: Trial
    defaults: Trial | None
    """The trial of the defaults; None if it has not finished."""
    noise: float | None
    """What the best trial had to be ahead of the defaults by; None if that cannot be told."""


def selected(
    trials: Sequence[Trial], defaults: Parameters, *, maximised: bool, margin: float
) -> Selection | None:
    """Returns which of `trials` is taken, the earliest among equals; None if none has finished.

    Args:
        trials: Of one search, in any state.
        defaults: Complete; without a finished trial of them, or with one fold, the best trial is taken.
        maximised: Whether more is better.
        margin: Standard errors by which the best must be ahead of the defaults.
    """
    finished = [trial for trial in trials if trial.value is not None]
    if not finished:
        return None
    sign = 1 if maximised else -1
    best = max(finished, key=lambda trial: sign * (trial.value or 0.0))
    base = next((trial for trial in finished if trial.parameters == dict(defaults)), None)
    if base is None or len(base.values) < _LEAST_FOLDS or len(finished) == 1:
        return Selection(best, base, None)
    noise = margin * _standard_error([trial for trial in finished if trial is not base], base)
    ahead = sign * ((best.value or 0.0) - (base.value or 0.0))
    return Selection(best if ahead > noise else base, base, noise)


def _standard_error(others: Sequence[Trial], base: Trial) -> float:
    """Returns the standard error of a trial's mean difference from `base` over the J folds.

    The variance of the differences between folds is pooled over all trials: three folds tell little about
    one. It is widened by the training rows that folds share, 1 / J + 1 / (J - 1) and not 1 / J (Nadeau and
    Bengio, Inference for the Generalization Error, Machine Learning 52, 2003).
    """
    differences = np.array([trial.values for trial in others]) - np.array(base.values)
    folds = len(base.values)
    variance = float(np.mean(np.var(differences, axis=1, ddof=1)))
    return float(np.sqrt(variance * (1 / folds + 1 / (folds - 1))))
