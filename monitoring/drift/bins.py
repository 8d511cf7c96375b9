"""How the values of a column are put into bins, and the finer cells that these consist of.

Bins come from the reference, so that a column's PSI means the same in each window. Neighbouring values share
a bin until it holds a tenth of the rows; a value that is that frequent alone has a bin of its own, and so has
what is left between two such values, however little it is. A flag therefore keeps both its bins, and a
count with many zeros does not lose its tail. Two more bins hold what lies below and above everything that the
reference knows, and one the missing values. A score has fixed bands instead, tenths: nearly all scores of a
good model are close to 0 or 1, and bins of equal share would not see what comes to lie between.

A test sees only the order of values, so for Kolmogorov and Smirnov's distance a bin is cut into cells at the
hundredths of both samples together.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.columns import Column, Matrix, Sample

BIN_SHARE: Final = 0.1
"""A bin is full with this share of the reference's rows."""
_CELLS: Final = 100

Edges = NDArray[np.float32]


class Grid(NamedTuple):
    """The cells of C columns, numbered on from column to column; a column's last cell is that of NaN."""

    edges: tuple[Edges, ...]
    """Of each column: the upper edges of its cells, which belong to them; the cell after the last is open."""
    first_cell: NDArray[np.int64]
    """[C], the number of each column's first cell."""
    cells: int
    """Cells in all."""
    first_bin: NDArray[np.int64]
    """[C], the number of each column's first bin."""
    bin_start: NDArray[np.int64]
    """[B], the number of each bin's first cell."""

    def codes(self, values: Matrix) -> NDArray[np.int32]:
        """Returns the number of the cell of each of `values` [N, C]."""
        codes = np.empty(values.shape, dtype=np.int32)
        for at, edges in enumerate(self.edges):
            column = values[:, at]
            cell = np.searchsorted(edges, column)
            codes[:, at] = self.first_cell[at] + np.where(np.isnan(column), len(edges) + 1, cell)
        return codes

    def bins_of(self, column: int) -> range:
        """Returns the numbers of the bins of a column."""
        last = self.first_bin[column + 1] if column + 1 < len(self.first_bin) else len(self.bin_start)
        return range(int(self.first_bin[column]), int(last))


def grid(reference: Sample, current: Sample) -> Grid:
    """Returns the cells and bins for comparing `current` with `reference`, which have the same columns."""
    edges: list[Edges] = []
    first_cell: list[int] = []
    first_bin: list[int] = []
    bin_start: list[int] = []
    cells = 0
    for at, column in enumerate(reference.columns):
        known, asked = reference.values[:, at], current.values[:, at]
        outer = bin_edges(column, known[~np.isnan(known)])
        both = np.concatenate((known, asked))
        fine = _hundredths(both[~np.isnan(both)]) if column.ordered else outer
        inner = np.unique(np.concatenate((outer, fine)))
        edges.append(inner)
        first_cell.append(cells)
        first_bin.append(len(bin_start))
        # A bin begins at the cell after the last one of the bin before it.
        starts = [0, *(np.searchsorted(inner, outer) + 1).tolist(), len(inner) + 1]
        bin_start += [cells + start for start in starts]
        cells += len(inner) + 2
    return Grid(
        tuple(edges),
        np.array(first_cell, dtype=np.int64),
        cells,
        np.array(first_bin, dtype=np.int64),
        np.array(bin_start, dtype=np.int64),
    )


def bin_edges(column: Column, known: NDArray[np.float32]) -> Edges:
    """Returns the upper edges of the bins of `known`, the first one just below all of it."""
    if column.bands:
        return np.array(column.bands, dtype=np.float32)
    if not column.ordered:
        return np.arange(-1, len(column.categories), dtype=np.float32)
    if not known.size:
        return np.empty(0, dtype=np.float32)
    values, counts = np.unique(known, return_counts=True)
    full = BIN_SHARE * len(known)
    ends: list[int] = []
    held = 0
    for at, count in enumerate(counts.tolist()):
        if held and count >= full:
            ends.append(at - 1)
            held = 0
        held += count
        if held >= full:
            ends.append(at)
            held = 0
    if held:
        # A rest joins the bin before it, unless that is a single frequent value.
        if ends and counts[ends[-1]] < full:
            ends.pop()
        ends.append(len(values) - 1)
    return np.concatenate(([np.nextafter(values[0], np.float32(-np.inf))], values[ends]))


def _hundredths(values: NDArray[np.float32]) -> Edges:
    if not values.size:
        return np.empty(0, dtype=np.float32)
    quantiles = np.quantile(values, np.linspace(0, 1, _CELLS + 1), method="inverted_cdf")
    return np.unique(quantiles).astype(np.float32)
