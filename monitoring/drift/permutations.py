"""What chance does: the distances between two samples whose rows were dealt out anew.

If nothing has changed, which rows are the reference and which the traffic is arbitrary; so the rows of both
are put together and dealt out again, whole rows, so that columns stay as tied to each other as they are. How
often the most surprising column of a family is as surprising as the one that was seen is its p-value, right
for ties, constants, flags, few rows and columns that move together (Westfall and Young, 1993: single-step
maxT). Only the smaller of the samples has to be counted anew, so 100,000 rows cost little more than 1,000.
And there is no need to go on when chance has long surpassed what was seen in each family (Besag and Clifford,
1991): quiet traffic, which is nearly all there is, is told after a tenth of the deals.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.bins import grid
from monitoring.drift.columns import Sample
from monitoring.drift.distances import Numbers, distances

_MOST_DEALT: Final = 4000
"""Rows of the smaller sample that are dealt out; beyond that the shape of chance no longer changes with the
size, and both samples are thinned alike."""
_BATCH: Final = 200
_PLENTY: Final = 20
"""Deals that surpass what was seen, after which it is no matter by how many more."""


class Comparison(NamedTuple):
    """What was found of each of C columns, and what chance makes of it in R deals."""

    psi: Numbers
    ks: Numbers
    moved: Numbers
    """[C], the share of rows that would have to change bins, less what chance moves in the mean."""
    surprise: Numbers
    by_chance: Numbers
    """[R, C], the surprise of each deal."""

    def p_values(self, places: list[int]) -> Numbers:
        """Returns for each of the columns `places` its p-value adjusted for all of them.

        The least of them is that of the columns together.
        """
        most = self.by_chance[:, places].max(axis=1)
        reached = (most[:, None] >= self.surprise[places][None, :]).sum(axis=0)
        return np.asarray((1 + reached) / (1 + len(most)))


def compare(reference: Sample, current: Sample, *, deals: int, seed: int) -> Comparison:
    """Returns how far `current` is from `reference`, column by column, and how far chance gets in `deals`.

    There are fewer deals where every family is quiet beyond doubt.
    """
    cut = grid(reference, current)
    known, asked = cut.codes(reference.values), cut.codes(current.values)
    ordered = np.array([column.ordered for column in reference.columns])
    m, n = (_counted(codes, cut.cells) for codes in (known, asked))
    seen = distances(cut, m[None, :], n[None, :], ordered)
    random = np.random.default_rng(seed)
    known, asked = _thinned(known, asked, random)
    rows = np.concatenate((known, asked))
    total = _counted(rows, cut.cells)
    smaller = min(len(known), len(asked))
    by_chance: list[Numbers] = []
    moved: list[Numbers] = []
    for start in range(0, deals, _BATCH):
        if by_chance and _all_quiet(reference, seen.surprise[0], np.concatenate(by_chance)):
            break
        few = np.stack([_dealt(rows, smaller, cut.cells, random) for _ in range(min(_BATCH, deals - start))])
        rest = total[None, :] - few
        pair = (few, rest) if len(known) == smaller else (rest, few)
        dealt = distances(cut, *pair, ordered)
        by_chance.append(dealt.surprise)
        moved.append(dealt.moved)
    # What chance moves falls with the root of the rows, of which fewer were dealt than there are.
    chance = np.concatenate(moved).mean(axis=0) * np.sqrt(len(rows) / (len(reference) + len(current)))
    return Comparison(
        seen.psi[0],
        seen.ks[0],
        np.maximum(seen.moved[0] - chance, 0.0),
        seen.surprise[0],
        np.concatenate(by_chance),
    )


def _all_quiet(reference: Sample, surprise: Numbers, by_chance: Numbers) -> bool:
    for family in reference.families:
        places = [at for at, column in enumerate(reference.columns) if column.family == family]
        if (by_chance[:, places].max(axis=1) >= surprise[places].max()).sum() < _PLENTY:
            return False
    return True


def _dealt(
    rows: NDArray[np.int32], count: int, cells: int, random: np.random.Generator
) -> NDArray[np.float64]:
    return _counted(rows[random.choice(len(rows), count, replace=False, shuffle=False)], cells)


def _counted(codes: NDArray[np.int32], cells: int) -> NDArray[np.float64]:
    return np.bincount(codes.ravel(), minlength=cells).astype(np.float64)


def _thinned(
    known: NDArray[np.int32], asked: NDArray[np.int32], random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    smaller = min(len(known), len(asked))
    if smaller <= _MOST_DEALT:
        return known, asked
    share = _MOST_DEALT / smaller
    kept = [random.choice(len(rows), round(share * len(rows)), replace=False) for rows in (known, asked)]
    return known[kept[0]], asked[kept[1]]
