"""Do the probabilities mean what they say? Ten equal bins, what was promised in each, and what came true.

With two classes a probability is that of the second class, and it comes true if the row is of it. With more
it is that of the answer, and it comes true if the answer is right (top-label calibration; Guo et al., 2017).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.evaluation.results import Bin
from training.workload import Indices, Labels

BINS: Final = 10

_BINARY: Final = 2


class Promises(NamedTuple):
    """For each of N rows: the probability that was promised, whether it came true (0 or 1), and its bin."""

    probability: NDArray[np.float64]
    came_true: NDArray[np.float64]
    bin: Indices


def promises(labels: Labels, probabilities: NDArray[np.float64]) -> Promises:
    """Returns what `probabilities` [N, K] promise of `labels` [N]; a bin holds its upper edge."""
    if probabilities.shape[1] == _BINARY:
        promised, true = probabilities[:, 1], labels == 1
    else:
        answers = probabilities.argmax(axis=1)
        promised, true = probabilities[np.arange(len(labels)), answers], labels == answers
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    return Promises(promised, true.astype(np.float64), np.searchsorted(inner, promised))


def reliability(labels: Labels, probabilities: NDArray[np.float64]) -> tuple[Bin, ...]:
    """Returns the reliability table; an empty bin has no means."""
    made = promises(labels, probabilities)
    edges = np.linspace(0, 1, BINS + 1)
    rows = np.bincount(made.bin, minlength=BINS)
    promised = np.bincount(made.bin, weights=made.probability, minlength=BINS)
    observed = np.bincount(made.bin, weights=made.came_true, minlength=BINS)
    return tuple(
        Bin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            rows=int(count),
            predicted=float(promised[index] / count) if count else None,
            observed=float(observed[index] / count) if count else None,
        )
        for index, count in enumerate(rows)
    )
