"""How sure a figure is: Wilson's interval for shares, a bootstrap of the counts for F1."""

from typing import Final, NamedTuple

import numpy as np

from monitoring.performance.confusion import F1, Counts, figures, shares

LEVEL: Final = 0.95
Z: Final = 1.959963984540054
_DRAWS: Final = 2000


class Interval(NamedTuple):
    """From `low` to `high` with 95 % confidence."""

    low: float
    high: float


def wilson(hits: float, of: float, z: float = Z) -> Interval:
    """Returns the score interval of a share (Wilson, 1927); of nothing it is everything."""
    if of <= 0:
        return Interval(0.0, 1.0)
    share, z2 = hits / of, z**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = z / (1 + z2 / of) * np.sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return Interval(max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def interval(counts: Counts, name: str, random: np.random.Generator) -> Interval:
    """Returns the interval of the figure `name` of `counts` [K, K]."""
    if name == F1:
        drawn = figures(resampled(counts, random))[F1]
        drawn = drawn[~np.isnan(drawn)]
        if not drawn.size:
            return Interval(0.0, 1.0)
        low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        return Interval(float(low), float(high))
    hits, of = shares(counts)[name]
    return wilson(float(hits), float(of))


def resampled(counts: Counts, random: np.random.Generator, draws: int = _DRAWS) -> Counts:
    """Returns `draws` samples [draws, K, K] of as many rows as `counts`; half a row stands in each cell.

    Without it a figure of 1 would have no spread at all.
    """
    total = int(counts.sum())
    expected = (counts + 0.5) / (counts + 0.5).sum()
    return (
        random.multinomial(total, expected.ravel(), size=draws).reshape(-1, *counts.shape).astype(np.float64)
    )
