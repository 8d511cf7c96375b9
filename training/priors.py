"""What the probabilities should be where classes have become more or less common, and nothing else changed.

Saerens, Latinne and Decaestecker, Adjusting the Outputs of a Classifier to New a Priori Probabilities (Neural
Computation 14, 2002). It holds for label shift: each class still looks as it did.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.workload import Labels

Shares = NDArray[np.float64]
"""How common each class is, [K]; adds up to 1."""

_TOLERANCE: Final = 1e-8
_MOST_STEPS: Final = 10_000


def shares_of(labels: Labels, classes: int) -> Shares:
    """Returns how common each class is among `labels`."""
    return np.bincount(labels, minlength=classes) / max(1, len(labels))


def corrected(probabilities: NDArray[np.floating], trained: Shares, assumed: Shares) -> NDArray[np.float64]:
    """Returns the probabilities [N, K] under the prior `assumed`, of a model trained under `trained`.

    The odds of each class are multiplied by assumed / trained (equation 2.4 of the paper); `trained` must not
    hold a zero.
    """
    weighted = probabilities * (assumed / trained)
    sums = weighted.sum(axis=1, keepdims=True)
    # A row that only names classes that are assumed not to occur says nothing: it gets the prior.
    return np.where(sums > 0, weighted / np.where(sums > 0, sums, 1), assumed)


def estimated(probabilities: NDArray[np.floating], trained: Shares) -> Shares:
    """Returns how common each class is among the rows of `probabilities` [N, K], without their labels.

    Expectation-maximisation (equation 2.9 of the paper) from the training prior on, until no share moves by
    more than 1e-8. It climbs the likelihood of the unlabelled rows, which is concave in the shares.
    """
    prior = trained
    for _ in range(_MOST_STEPS):
        following: Shares = corrected(probabilities, trained, prior).mean(axis=0)
        if np.abs(following - prior).max() < _TOLERANCE:
            return following
        prior = following
    return prior
