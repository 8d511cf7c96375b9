"""How far two samples are apart in each column, for one split of the rows or for many at once.

PSI is the population stability index, the sum of (p - q) ln(p / q) over bins, with half a row added to each
bin so that an empty one does not make it infinite. Where nothing has changed, PSI / (1/n + 1/m) follows about
a chi-square of one degree less than there are bins (Yurdakul and Naranjo, 2020). KS is the largest distance
of the two distribution functions; without ties its tail is 2 exp(-2 k^2), k^2 = KS^2 / (1/n + 1/m)
(Smirnov, 1948). Both bring columns of many and of few bins onto one scale, the surprise: -ln of that p-value.
It is exact for no column with ties; what it is worth is decided by permutations (permutations.py).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.bins import Grid

_PRIOR = 0.5

Numbers = NDArray[np.float64]


class Distances(NamedTuple):
    """Of R splits and C columns, each [R, C]."""

    psi: Numbers
    ks: Numbers
    surprise_psi: Numbers
    surprise_ks: Numbers
    moved: Numbers
    """The least share of rows that would have to change bins: total variation."""

    @property
    def surprise(self) -> Numbers:
        """The greater one of both."""
        return np.maximum(self.surprise_psi, self.surprise_ks)


def distances(grid: Grid, reference: Numbers, current: Numbers, ordered: NDArray[np.bool_]) -> Distances:
    """Returns the distances between rows counted by cell, both [R, cells]; every split has the same sizes.

    KS is 0 where a column is not `ordered` [C].
    """
    columns = len(grid.first_cell)
    m, n = reference[0].sum() / columns, current[0].sum() / columns
    noise = 1 / n + 1 / m
    p = np.add.reduceat(current, grid.bin_start, axis=1)
    q = np.add.reduceat(reference, grid.bin_start, axis=1)
    moved = np.add.reduceat(np.abs(p / n - q / m), grid.first_bin, axis=1) / 2
    held = (p[0] + q[0]) > 0  # which bins hold anything is the same for each split
    bins = np.add.reduceat(held.astype(np.float64), grid.first_bin)
    each = np.repeat(bins, np.diff(np.append(grid.first_bin, len(grid.bin_start))))
    p = (p + _PRIOR) / (n + _PRIOR * each)
    q = (q + _PRIOR) / (m + _PRIOR * each)
    psi = np.add.reduceat(np.where(held, (p - q) * np.log(p / q), 0.0), grid.first_bin, axis=1)
    # In each column the differences sum to nothing, so that the running sum begins anew by itself.
    gaps = np.abs(np.cumsum(current / n - reference / m, axis=1))
    ks = np.where(ordered, np.maximum.reduceat(gaps, grid.first_cell, axis=1), 0.0)
    return Distances(
        psi,
        ks,
        np.where(bins > 1, _surprise_of_chi_square(psi / noise, np.maximum(bins - 1, 1)), 0.0),
        np.maximum(2 * ks**2 / noise - np.log(2), 0.0),
        moved,
    )


def _surprise_of_chi_square(value: Numbers, degrees: Numbers) -> Numbers:
    """Returns -ln of the tail of a chi-square, by Wilson and Hilferty's cube root, good far into the tail."""
    from scipy.special import log_ndtr

    width = 2 / (9 * degrees)
    z = (np.cbrt(np.maximum(value, 0) / degrees) - (1 - width)) / np.sqrt(width)
    return -np.asarray(log_ndtr(-z))
