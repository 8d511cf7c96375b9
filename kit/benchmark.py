"""The form of a measured figure, shared by every package that measures something for `sluice bench`."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Figure(NamedTuple):
    """One measured value; `ratio` compares it with `peer`, measured in the same run on the same input."""

    name: str
    value: float
    unit: str
    aim: str | None = None
    peer: str | None = None
    ratio: float | None = None
    note: str | None = None


def median_seconds(action: Callable[[], object], *, repeats: int = 5) -> float:
    """Returns the median wall time of `action` in seconds over `repeats` calls, after one uncounted."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
