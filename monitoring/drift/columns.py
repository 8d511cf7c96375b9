"""What is compared: columns of numbers, each of a family, in a reference and in a window of traffic."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.features import NUMERIC_FEATURES, Family

NUMBERS: Final = "numbers"
"""The family of input numbers that no contract gives a family."""
TEXT: Final = "text"
"""The family of facts of the text, such as its length."""
SCORE: Final = "score"
"""The family of what the model answers: its score, and the share of each label."""

FROM_MESSAGES: Final = frozenset({TEXT, Family.HEADER.value, Family.STRUCTURE.value})
"""The families that a message alone decides: what the feature store does or does not say is not in them."""

_FAMILIES: Final[Mapping[str, str]] = {feature.name: feature.family.value for feature in NUMERIC_FEATURES}

Matrix = NDArray[np.float32]
"""[N, C], one column for each `Column`; NaN where a row has no such value."""


class Column(NamedTuple):
    """One column; the values of an unordered one are numbers of categories."""

    name: str
    family: str
    ordered: bool = True
    categories: Sequence[str] = ()
    """What the values of an unordered column stand for, in order."""
    bands: Sequence[float] = ()
    """Upper edges of its bins, where these are given and do not come from the reference."""


class Sample(NamedTuple):
    """N rows of the same columns."""

    columns: tuple[Column, ...]
    values: Matrix

    def __len__(self) -> int:
        """The number of rows, N."""
        return len(self.values)

    def of(self, family: str) -> "Sample":
        """Returns the columns of one family."""
        return self.only([at for at, column in enumerate(self.columns) if column.family == family])

    def only(self, places: Sequence[int]) -> "Sample":
        """Returns the columns at `places`, in that order."""
        return Sample(tuple(self.columns[at] for at in places), self.values[:, list(places)])

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Sample":
        """Returns the rows that `rows` chooses."""
        return Sample(self.columns, self.values[rows])

    @property
    def families(self) -> tuple[str, ...]:
        """The families, each once, in the order of the columns."""
        return tuple(dict.fromkeys(column.family for column in self.columns))


def family_of(name: str) -> str:
    """Returns the family that the feature contract gives the number `name`, or `numbers`."""
    return _FAMILIES.get(name, NUMBERS)
