"""The one rule by which a score becomes a verdict, wherever a model answers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import BundleContract


def verdicts(contract: BundleContract, labels: NDArray[np.int64], probabilities: NDArray[Any]) -> list[str]:
    """Returns the name of the class that is decided for, of each row.

    From the contract's threshold on it is the last class (equal is reached; compared as float32, in which the
    model answers), below it the likeliest of the others. Without a threshold it is the label's.

    Args:
        contract: The bundle's.
        labels: Int64 [N], as the model gave them.
        probabilities: Float32 [N, classes].
    """
    classes, threshold = contract.classes, contract.threshold
    if threshold is None:
        return [classes[label] for label in labels]
    reached = probabilities[:, -1] >= np.float32(threshold)
    others = probabilities[:, :-1].argmax(axis=1)
    return [classes[-1] if over else classes[other] for over, other in zip(reached, others, strict=True)]
