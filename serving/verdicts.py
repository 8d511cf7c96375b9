"""The one rule by which a score becomes a verdict, wherever a model answers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import BundleContract


def verdicts(contract: BundleContract, labels: NDArray[np.int64], probabilities: NDArray[Any]) -> list[str]:
    """Returns the name of the class that is decided for, of each row; `decided` tells how.

    Args:
        contract: The bundle's.
        labels: Int64 [N], as the model gave them.
        probabilities: Float32 [N, classes].
    """
    return [contract.classes[number] for number in decided(contract, labels, probabilities)]


def decided(
    contract: BundleContract, labels: NDArray[np.int64], probabilities: NDArray[Any]
) -> NDArray[np.int64]:
    """Returns the number of the class that is decided for, of each row; int64 [N].

    From the contract's threshold on it is the last class (equal is reached; compared as float32, in which the
    model answers), below it the likeliest of the others. Without a threshold it is the label.
    """
    if contract.threshold is None:
        return labels
    reached = probabilities[:, -1].astype(np.float32) >= np.float32(contract.threshold)
    others = probabilities[:, :-1].argmax(axis=1)
    return np.where(reached, len(contract.classes) - 1, others).astype(np.int64)
