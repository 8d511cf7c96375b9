"""The one place where stored history becomes model input: defaults, bounds, float32."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.features import SENDER_FEATURES

_DEFAULTS: Final = np.array([feature.default for feature in SENDER_FEATURES])
_LOW: Final = np.array([feature.low for feature in SENDER_FEATURES])
_HIGH: Final = np.array([feature.high for feature in SENDER_FEATURES])


_UNKNOWN: Final = _DEFAULTS.astype(np.float32)


class SenderHistory(NamedTuple):
    """What is known of N senders."""

    numbers: NDArray[np.float32]
    """Float32 [N, 8], in the order of SENDER_FEATURES."""
    defaulted: NDArray[np.int64]
    """Int64 [N]: how many of the 8 are defaults because history was not to be had: the store was slow or
    down, or there is none. That nothing is known of a sender is an answer, and counts nothing."""
    known: NDArray[np.bool_]
    """[N]: whether anything recent enough is known of the sender or of its domain."""


SenderHistories = Callable[[Sequence[str], datetime], SenderHistory]
"""From addresses and an instant; `SenderLookup.history` is one."""


def sender_numbers(stored: NDArray[np.float64]) -> NDArray[np.float32]:
    """Returns the 8 sender numbers, float32 [N, 8], in the order of SENDER_FEATURES.

    `stored` is what a store holds, float64 [N, 8], with NaN where it holds nothing. Training and serving
    both come through here, so that the same row gives the same bits.
    """
    known = np.where(np.isnan(stored), _DEFAULTS, stored)
    return np.clip(known, _LOW, _HIGH).astype(np.float32)


def unknown_senders(count: int) -> NDArray[np.float32]:
    """Returns the 8 numbers of `count` senders of whom nothing is known, float32 [count, 8]."""
    return np.tile(_UNKNOWN, (count, 1))


def unknown_history(count: int) -> SenderHistory:
    """Returns what stands for the history of `count` senders that was not to be had: defaults, counted."""
    defaulted = np.full(count, len(SENDER_FEATURES), dtype=np.int64)
    return SenderHistory(unknown_senders(count), defaulted, np.zeros(count, dtype=np.bool_))
