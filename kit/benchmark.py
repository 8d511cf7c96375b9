"""The form of a measured figure, shared by every package that measures something for `sluice bench`."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kit.errors import SluiceError


class Figure(NamedTuple):
    """One measured value; `ratio` compares it with `peer`, measured in the same run on the same input."""

    name: str
    value: float
    unit: str
    aim: str | None = None
    peer: str | None = None
    ratio: float | None = None
    note: str | None = None
    spread: tuple[float, float] | None = None
    """Least and largest value over the rounds; `value` is then their median."""


class Table(NamedTuple):
    """Several systems side by side, as it is printed and written."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    wordy: Sequence[str] = ()
    """Columns for a page, that a terminal has no room for."""


@dataclass(frozen=True)
class Report:
    """What a measurement gives that is more than a list of figures."""

    figures: list[Figure]
    tables: Sequence[Table] = ()
    missing: Mapping[str, SluiceError] = field(default_factory=dict)
    """What belongs to it and could not be measured, with the reason."""
    details: Any = None
    """Every sample, as a document."""


def median_seconds(action: Callable[[], object], *, repeats: int = 5) -> float:
    """Returns the median wall time of `action` in seconds over `repeats` calls, after one uncounted."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
