"""Bins, cells and distances: every value has its place, and the numbers are the textbook's."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from monitoring.drift.bins import bin_edges, grid
from monitoring.drift.columns import Column, Sample
from monitoring.drift.permutations import compare

NUMBER = Column("number", "numbers")


def sample(*columns: object, ordered: bool = True) -> Sample:
    """Returns a sample of the given columns."""
    names = tuple(
        Column(f"column_{at}", "numbers", ordered, () if ordered else ("a", "b", "c"))
        for at in range(len(columns))
    )
    return Sample(names, np.stack([np.asarray(values, dtype=np.float32) for values in columns], axis=1))


def counted(edges: NDArray[np.float32], values: object) -> list[int]:
    """Returns how many of `values` lie in each bin."""
    place = np.searchsorted(edges, np.asarray(values, dtype=np.float32))
    return [int(count) for count in np.bincount(place, minlength=len(edges) + 1)]


@pytest.mark.parametrize("ones", [1, 5, 500, 899])
def test_a_flag_keeps_both_its_bins_however_rare_one_is(ones: int) -> None:
    """Merging the rare value into the frequent one would hide a shift of a quarter of the rows."""
    values = np.r_[np.ones(ones), np.zeros(900 - ones)].astype(np.float32)
    assert counted(bin_edges(NUMBER, values), values)[1:-1] == [900 - ones, ones]


def test_small_bins_are_merged_and_frequent_values_stand_alone() -> None:
    """Half the rows are 0; the rest fills bins of about a tenth, and none is left nearly empty."""
    values = np.r_[np.zeros(500), np.arange(1, 501)].astype(np.float32)
    bins = counted(bin_edges(NUMBER, values), values)
    assert (bins[0], bins[1], bins[-1]) == (0, 500, 0)
    assert min(bins[2:-1]) >= 90


def test_a_constant_has_a_bin_and_everything_else_is_beyond_it() -> None:
    """What a constant feature becomes is seen, on either side."""
    edges = bin_edges(NUMBER, np.full(300, 7, dtype=np.float32))
    assert counted(edges, [7, 7, 6.99, 7.01, -np.inf, np.inf]) == [2, 2, 2]


def test_each_value_is_in_one_cell_and_missing_ones_have_their_own() -> None:
    """Also infinities, extremes of float32, and values that only the traffic has."""
    hostile = [np.nan, np.inf, -np.inf, 0, 3.4e38, -3.4e38, 1e-45]
    known, asked = sample(np.arange(100)), sample(hostile)
    cut = grid(known, asked)
    codes = cut.codes(asked.values)[:, 0]
    assert codes[0] == cut.cells - 1
    assert ((codes >= 0) & (codes < cut.cells)).all()
    assert (codes[1:] < cut.cells - 1).all()


def test_ks_is_that_of_scipy_and_psi_that_of_its_formula() -> None:
    """With fewer distinct values than cells nothing is approximated but the half row in each bin."""
    random = np.random.default_rng(5)
    known, asked = random.integers(0, 40, 900), random.integers(3, 43, 400)
    found = compare(sample(known), sample(asked), deals=20, seed=1)
    assert found.ks[0] == pytest.approx(ks_2samp(known, asked).statistic)
    edges = bin_edges(NUMBER, known.astype(np.float32))
    q, p = (np.array(counted(edges, values), dtype=float) for values in (known, asked))
    held = p + q > 0
    p, q = (p[held] + 0.5) / (400 + 0.5 * held.sum()), (q[held] + 0.5) / (900 + 0.5 * held.sum())
    assert found.psi[0] == pytest.approx(((p - q) * np.log(p / q)).sum())


def test_a_category_has_no_ks_and_moves_by_its_share() -> None:
    """A quarter of the rows became another category."""
    known = np.repeat([0, 1], 500)
    asked = np.repeat([0, 1, 2], [250, 500, 250])
    found = compare(sample(known, ordered=False), sample(asked, ordered=False), deals=20, seed=1)
    assert found.ks[0] == 0
    assert found.moved[0] == pytest.approx(0.25, abs=0.03)  # less what chance moves


def test_two_constants_are_equal_and_surprise_nobody() -> None:
    """No bins to compare, no warning, no division by nothing."""
    found = compare(sample(np.zeros(50)), sample(np.zeros(30)), deals=50, seed=1)
    assert found.surprise[0] == 0
    assert found.p_values([0])[0] == 1


def test_large_samples_are_thinned_to_the_same_answer() -> None:
    """Chance, scaled by its size, is the same for 4,000 rows and for 40,000."""
    random = np.random.default_rng(2)
    known, asked = sample(random.lognormal(0, 1, 40_000)), sample(random.lognormal(0.5, 1, 40_000))
    large = compare(known, asked, deals=600, seed=1)
    small = compare(known.take(np.arange(4000)), asked.take(np.arange(4000)), deals=600, seed=1)
    assert len(large.by_chance) == len(small.by_chance) == 600
    assert np.quantile(large.by_chance, 0.5) == pytest.approx(np.quantile(small.by_chance, 0.5), rel=0.25)


def test_dealing_ends_early_only_where_all_is_quiet() -> None:
    """A sample against itself needs a tenth of the deals; one that has moved needs them all."""
    random = np.random.default_rng(3)
    known = sample(random.lognormal(0, 1, 500))
    assert len(compare(known, known, deals=2000, seed=1).by_chance) == 200
    assert len(compare(known, sample(random.lognormal(1, 1, 500)), deals=2000, seed=1).by_chance) == 2000
