"""Which messages train, which choose, and which judge: split at random, or by time; copies stay together."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kit.errors import CallerError
from training.grouped_folds import GroupedFolds

SHARES: Final = (0.70, 0.15, 0.15)
"""Of train, validation and test."""

_FOLDS: Final = 20
_VALIDATION_FOLDS: Final = frozenset({0, 1, 2})
_TEST_FOLDS: Final = frozenset({3, 4, 5})


class Split(StrEnum):
    """What a message is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    LEFT_OUT = "left_out"


class TooFewMessages(CallerError):
    """A corpus that cannot be split so that each part has something of everything."""

    status = 422
    code = "too_few_messages"
    title = "Too few messages"


def random_split(
    ids: Sequence[str], labels: Sequence[str], clusters: Sequence[str], *, seed: int
) -> list[Split]:
    """Returns the split of each row: 70/15/15, the classes in equal shares, no cluster in two splits.

    The answer depends on the messages and the seed, and not on the order of rows. Shares are as near as
    whole clusters allow.

    Raises:
        TooFewMessages: a class has fewer than 20 clusters.
    """
    pairs = set(zip(clusters, labels, strict=True))
    for label, count in sorted(Counter(label for _, label in pairs).items()):
        if count < _FOLDS:
            raise TooFewMessages(
                f"Class {label} has {count} messages that are no copies of each other; {_FOLDS} are needed.",
                next_step="Fetch a larger corpus.",
            )
    order = np.argsort(np.asarray(ids))
    folds = GroupedFolds(n_splits=_FOLDS, shuffle=True, random_state=seed)
    splits = [Split.TRAIN] * len(ids)
    classes, groups = np.asarray(labels)[order], np.asarray(clusters)[order]
    for number, (_, rows) in enumerate(folds.split(order, classes, groups)):
        for row in order[rows]:
            if number in _VALIDATION_FOLDS:
                splits[row] = Split.VALIDATION
            elif number in _TEST_FOLDS:
                splits[row] = Split.TEST
    return splits


def time_split(dates: Sequence[datetime | None], clusters: Sequence[str]) -> list[Split]:
    """Returns the split of each row by time: every training date is before every validation date, and so on.

    A cluster belongs where its earliest message belongs, so that nothing already seen is judged as new; its
    messages from after the end of that split are left out. So are messages without a date to believe. The
    cuts are where 70 and 85 % of the dated messages are in clusters that began earlier.

    Raises:
        TooFewMessages: the dates leave a split empty.
    """
    first: dict[str, datetime] = {}
    sizes: dict[str, int] = defaultdict(int)
    for date, name in zip(dates, clusters, strict=True):
        if date is not None:
            first[name] = min(date, first.get(name, date))
            sizes[name] += 1
    begins = sorted((began, sizes[name]) for name, began in first.items())
    behind = np.cumsum([size for _, size in begins])
    if len(begins) < len(SHARES):
        raise TooFewMessages("Fewer than three messages have a date.", next_step="Split at random instead.")
    train_end, validation_end = (
        begins[int(np.searchsorted(behind, share * behind[-1]))][0]
        for share in (SHARES[0], SHARES[0] + SHARES[1])
    )
    splits = [
        _at(date, first.get(name), train_end, validation_end)
        for date, name in zip(dates, clusters, strict=True)
    ]
    empty = [split for split in (Split.TRAIN, Split.VALIDATION, Split.TEST) if split not in splits]
    if empty:
        raise TooFewMessages(
            f"By time, nothing would be left for {' and '.join(empty)}: the dates are too much alike.",
            next_step="Split at random instead.",
        )
    return splits


def rows_of(splits: Sequence[Split], wanted: Split) -> NDArray[np.intp]:
    """Returns the row numbers of one split, int [n], ascending."""
    return np.flatnonzero(np.asarray([split is wanted for split in splits]))


def _at(
    date: datetime | None, began: datetime | None, train_end: datetime, validation_end: datetime
) -> Split:
    if date is None or began is None:
        return Split.LEFT_OUT
    if began < train_end:
        return Split.TRAIN if date < train_end else Split.LEFT_OUT
    if began < validation_end:
        return Split.VALIDATION if date < validation_end else Split.LEFT_OUT
    return Split.TEST
