"""Answers against truths, counted, and the figures that the counts give.

The names are those of the certificate (`test_precision` and so on in a bundle's contract).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
"""[..., K, K]: rows of each true class by the class they were answered with."""

PRECISION: Final = "precision"
RECALL: Final = "recall"
SPECIFICITY: Final = "specificity"
F1: Final = "f1"
ACCURACY: Final = "accuracy"
FIGURES: Final = (PRECISION, RECALL, SPECIFICITY, F1, ACCURACY)
"""All there are; a model has some of them, by its number of classes."""
_BINARY: Final = 2


def confusion(truth: NDArray[np.int64], answers: NDArray[np.int64], classes: int) -> Counts:
    """Returns the counts of N rows, [K, K]."""
    counts = np.bincount(truth * classes + answers, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.float64)


def names(classes: int) -> tuple[str, ...]:
    """Returns the figures of a model of so many classes: of two, the last one is the positive one."""
    return (PRECISION, RECALL, F1, SPECIFICITY) if classes == _BINARY else (ACCURACY,)


def figures(counts: Counts) -> Mapping[str, NDArray[np.float64]]:
    """Returns each figure of `counts`, NaN where there is nothing to divide by."""
    return {name: _share(hits, of) for name, (hits, of) in shares(counts).items()}


def shares(counts: Counts) -> Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Returns of each figure what is counted, and out of how many; F1 as 2 TP of 2 TP + FP + FN."""
    classes = counts.shape[-1]
    if classes != _BINARY:
        return {ACCURACY: (np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))}
    true_negative, false_positive = counts[..., 0, 0], counts[..., 0, 1]
    false_negative, true_positive = counts[..., 1, 0], counts[..., 1, 1]
    return {
        PRECISION: (true_positive, true_positive + false_positive),
        RECALL: (true_positive, true_positive + false_negative),
        F1: (2 * true_positive, 2 * true_positive + false_positive + false_negative),
        SPECIFICITY: (true_negative, true_negative + false_positive),
    }


def _share(hits: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.divide(hits, of, out=np.full(np.shape(of), np.nan), where=np.asarray(of) > 0)
    return np.asarray(share, dtype=np.float64)
