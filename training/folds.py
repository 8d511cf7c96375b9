"""What a search is judged on: the validation rows, or grouped folds of the training rows."""

import numpy as np

from kit.errors import CallerError
from training.featurising import Fold
from training.workload import Dataset, Splits


class TooFewRows(CallerError):
    """Rows that cannot be judged on: a part is empty, or lacks a class."""

    status = 422
    code = "too_few_rows"
    title = "Too few rows"


def folds(dataset: Dataset, splits: Splits, *, count: int, seed: int) -> tuple[Fold, ...]:
    """Returns what trials are fitted and judged on.

    With `count` 0 that is the training part and the validation part. Otherwise the training part alone is cut
    into `count` stratified folds, no group of copies in two of them, and each is judged on once: the
    validation rows are then untouched, and the choice rests on several times as many rows.

    Raises:
        TooFewRows: a part lacks a class.
    """
    found = [Fold(splits.train, splits.validation)] if count == 0 else _grouped(dataset, splits, count, seed)
    classes = set(np.unique(dataset.rows.labels).tolist())
    for fold in found:
        for rows, name in ((fold.fit, "training"), (fold.judge, "validation")):
            missing = sorted(classes - set(dataset.rows.labels[rows].tolist()))
            if missing or len(classes) == 1:
                raise TooFewRows(
                    f"The {name} rows hold no row of class {missing[0]}."
                    if missing
                    else "The data hold one class only.",
                    next_step="Bring more data, or ask for fewer folds.",
                )
    return tuple(found)


def _grouped(dataset: Dataset, splits: Splits, count: int, seed: int) -> list[Fold]:
    from training.grouped_folds import GroupedFolds

    labels = dataset.rows.labels[splits.train]
    groups = (
        np.asarray(dataset.groups)[splits.train] if len(dataset.groups) else dataset.rows.ids[splits.train]
    )
    if int(np.bincount(labels).max()) < count or len(np.unique(groups)) < count:
        raise TooFewRows(
            f"The training rows cannot be cut into {count} folds.", next_step="Ask for fewer folds."
        )
    cuts = GroupedFolds(n_splits=count, shuffle=True, random_state=seed)
    return [Fold(splits.train[fit], splits.train[judge]) for fit, judge in cuts.split(labels, labels, groups)]
