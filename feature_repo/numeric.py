"""The model's `numeric` input: 16 numbers of the message and 8 of its sender, side by side."""

import numpy as np
from numpy.typing import NDArray

from contracts.features import MESSAGE_FEATURES, SENDER_FEATURES
from kit.errors import Bug


def numeric(messages: NDArray[np.float32], senders: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns float32 [N, 24] in the order of NUMERIC_FEATURES, from [N, 16] and [N, 8].

    Raises:
        Bug: the shapes or dtypes are others; a silent cast would be the skew this module is to prevent.
    """
    for part, features in ((messages, MESSAGE_FEATURES), (senders, SENDER_FEATURES)):
        if part.dtype != np.float32 or part.shape != (len(messages), len(features)):
            raise Bug(f"Expected float32 [{len(messages)}, {len(features)}], got {part.dtype} {part.shape}.")
    return np.concatenate([messages, senders], axis=1)
