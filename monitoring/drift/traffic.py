"""A window of recorded predictions, as columns to compare with a reference."""

from typing import NamedTuple

import numpy as np

from monitoring.drift.columns import Sample
from monitoring.drift.reference import Reference
from monitoring.errors import ReferenceUnusable
from records.repositories.prediction_windows import Window


class Pair(NamedTuple):
    """A reference and a window with the same columns, and what could not be paired, in sentences."""

    reference: Sample
    current: Sample
    left_out: tuple[str, ...]


def paired(reference: Reference, window: Window) -> Pair:
    """Returns the reference and the N rows of `window` as samples of the columns that both have.

    Raises:
        ReferenceUnusable: the rows hold another count of numbers than the reference.
    """
    recorded = window.numeric.shape[1]
    if recorded != reference.numbers:
        raise ReferenceUnusable(
            f"The recorded predictions hold {recorded} numbers each, and the reference of their version "
            f"{reference.numbers}.",
            next_step="Another contract answered under this version's number: compare `sluice model show` "
            "with what serves, and promote the version anew.",
        )
    classes = {name: at for at, name in enumerate(reference.contract.classes)}
    labels = np.array([classes.get(label, len(classes)) for label in window.labels], dtype=np.float32)
    nothing = np.full(len(window), np.nan)
    statistics = [window.text_statistics.get(name, nothing) for name in reference.statistics]
    parts = [
        window.numeric,
        *(column[:, None] for column in statistics),
        window.probabilities[:, None],
        labels[:, None],
    ]
    values = np.concatenate([part.astype(np.float32) for part in parts], axis=1)
    kept, left_out = [], []
    for at, column in enumerate(reference.sample.columns):
        if np.isnan(values[:, at]).all():
            left_out.append(f"No prediction of the window records {column.name}, which the reference has.")
        elif np.isnan(reference.sample.values[:, at]).all():
            left_out.append(f"The reference holds no value of {column.name}.")
        else:
            kept.append(at)
    known = set(reference.statistics)
    left_out += [
        f"The reference does not hold {name}, which predictions record."
        for name in sorted(window.text_statistics)
        if name not in known
    ]
    return Pair(
        reference.sample.only(kept), Sample(reference.sample.columns, values).only(kept), tuple(left_out)
    )
