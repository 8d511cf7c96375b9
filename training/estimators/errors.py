"""What makes rows unfit to learn from.

Tree::

    CallerError
    └── Unlearnable   422  a value that is not finite, one class only, no rows, or no word to learn
"""

from typing import Any

import numpy as np

from kit.errors import CallerError
from training.workload import Labels


class Unlearnable(CallerError):
    """Rows from which no model can be made."""

    status = 422
    code = "unlearnable"
    title = "Nothing can be learned from these rows"


def check_rows(matrix: Any, labels: Labels, classes: int, *, use: str) -> None:
    """Checks that an estimator can be fitted on, or judged by, these rows; `use` names them in the error.

    Raises:
        Unlearnable: no rows, lengths that differ, a sparse or not float32 matrix, NaN or infinity, or labels
            outside 0 to `classes` - 1.
    """
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype != np.float32:  # noqa: PLR2004
        raise Unlearnable(
            f"The {use} features are not one dense float32 matrix: an absent entry would be read as missing.",
            next_step="Give the featuriser's matrix as it is.",
        )
    if len(matrix) == 0 or len(matrix) != len(labels):
        raise Unlearnable(
            f"There are {len(matrix)} {use} rows and {len(labels)} labels.",
            next_step="Look at the corpus (sluice data describe): each split needs rows.",
        )
    bad = ~np.isfinite(matrix)
    if bad.any():
        row, column = (int(index[0]) for index in np.nonzero(bad))
        raise Unlearnable(
            f"{int(bad.any(axis=1).sum())} {use} rows hold a value that is not finite; "
            f"the first is column {column} of row {row}.",
            next_step="Mend the feature that made it.",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise Unlearnable(f"The {use} labels are not class indices from 0 to {classes - 1}.")


def check_classes(labels: Labels, classes: int) -> None:
    """Checks that every class is there to be learned.

    Raises:
        Unlearnable: a class has no row.
    """
    absent = sorted(set(range(classes)) - set(np.unique(labels).tolist()))
    if absent:
        raise Unlearnable(
            f"Of {classes} classes, number {', '.join(map(str, absent))} has no training row.",
            next_step="Add rows of it to the data.",
        )
