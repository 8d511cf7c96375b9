"""How often the verdict is wrong: traffic is made from a reference, with and without a shift, and judged.

Without a shift the rows are drawn from the reference itself, with replacement; every alarm is then false. A
shift changes one family in a quarter of the rows, and never to a value outside what the reference holds,
which would be too easy to see.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from monitoring.drift.columns import Matrix, Sample
from monitoring.drift.result import Verdict
from monitoring.drift.verdicts import Strictness, judge

QUARTER: Final = 0.25

Shift = Callable[[Sample, Matrix, np.random.Generator], Matrix]
"""Takes the reference's columns of a family and some rows of them, and returns these rows, changed."""


class Rate(NamedTuple):
    """How often something was found, in how many draws."""

    found: int
    draws: int

    @property
    def share(self) -> float:
        """As a share of the draws."""
        return self.found / self.draws


def moved(reference: Sample, rows: Matrix, _random: np.random.Generator) -> Matrix:
    """Returns the rows with each number up by one standard deviation, a whole one where numbers are whole.

    No number leaves the reference's range, and a category becomes the last one.
    """
    values = reference.values
    step = values.std(axis=0)
    whole = (values == np.round(values)).all(axis=0)
    step = np.where(whole, np.maximum(np.round(step), 1), step)
    return np.asarray(np.minimum(rows + step, values.max(axis=0)), dtype=np.float32)


def one_moved(reference: Sample, rows: Matrix, random: np.random.Generator) -> Matrix:
    """Returns the rows with one number of the family moved, and the others as they were."""
    varying = np.flatnonzero(np.ptp(reference.values, axis=0) > 0)
    at = int(random.choice(varying))
    changed = rows.copy()
    changed[:, at] = moved(reference, rows, random)[:, at]
    return changed


def stuck(reference: Sample, rows: Matrix, random: np.random.Generator) -> Matrix:
    """Returns as many rows that are all one row of the reference, as a campaign's or a stuck part's are."""
    return np.repeat(reference.values[[random.integers(len(reference))]], len(rows), axis=0)


def lost(reference: Sample, rows: Matrix, _random: np.random.Generator) -> Matrix:
    """Returns as many rows of the least values that the reference holds: a part that gives nothing."""
    return np.repeat(reference.values.min(axis=0)[None, :], len(rows), axis=0)


SHIFTS: Final[dict[str, Shift]] = {
    "each number moved by one standard deviation": moved,
    "all numbers lost": lost,
    "all numbers stuck at one row's": stuck,
    "one number moved by one standard deviation": one_moved,
}


def drawn(reference: Sample, rows: int, random: np.random.Generator) -> Sample:
    """Returns `rows` rows of the reference, drawn with replacement."""
    return reference.take(random.integers(0, len(reference), rows))


def shifted(
    reference: Sample,
    rows: int,
    family: str,
    shift: Shift,
    random: np.random.Generator,
    *,
    share: float = QUARTER,
) -> Sample:
    """Returns drawn rows of which `share` are shifted in one family."""
    current = drawn(reference, rows, random)
    places = np.flatnonzero([column.family == family for column in reference.columns])
    chosen = random.choice(rows, round(share * rows), replace=False)
    values = current.values.copy()
    values[np.ix_(chosen, places)] = shift(reference.of(family), values[np.ix_(chosen, places)], random)
    return Sample(current.columns, values)


def alarms(reference: Sample, rows: int, *, draws: int, strictness: Strictness, first_seed: int = 0) -> Rate:
    """Returns how often any family is said to drift when nothing has changed."""
    found = 0
    for seed in range(first_seed, first_seed + draws):
        current = drawn(reference, rows, np.random.default_rng((seed, rows)))
        verdicts = judge(reference, current, strictness, seed=seed)
        found += any(family.verdict is Verdict.DRIFT for family in verdicts)
    return Rate(found, draws)


def detections(
    reference: Sample,
    rows: int,
    family: str,
    shift: Shift,
    *,
    draws: int,
    strictness: Strictness,
) -> Rate:
    """Returns how often a shift of a quarter of the rows in one family is said to be a drift of it."""
    found = 0
    for seed in range(draws):
        random = np.random.default_rng((seed, rows))
        current = shifted(reference, rows, family, shift, random)
        verdicts = judge(reference, current, strictness, seed=seed)
        found += any(verdict.family == family and verdict.verdict is Verdict.DRIFT for verdict in verdicts)
    return Rate(found, draws)
