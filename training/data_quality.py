"""What every data set must keep to be learnt from, whatever the workload; a broken rule is a sentence.

A workload's own judgement of its source (sizes, dates, copies) comes before; this looks at the rows
themselves, after feature extraction, for what would make a model worthless without any error.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from kit.errors import Refused
from training.workload import Dataset, Labels, ModelContract, Rows, Splits

_NAMED: Final = 3
"""Rows that are named in a sentence."""


class DataUnfit(Refused):
    """The rows must not be learnt from."""

    code = "data_unfit"
    title = "Data refused"


def require_fit(dataset: Dataset, contract: ModelContract, seeds: Sequence[int]) -> list[str]:
    """Returns a sentence for each rule that the data keep.

    Raises:
        DataUnfit: a rule is broken; the reasons name rows, splits and classes.
    """
    broken = broken_rules(dataset, contract, seeds)
    if broken:
        raise DataUnfit(
            f"The data of {contract.name} cannot be learnt from: {len(broken)} rules are broken.",
            reasons=broken,
            next_step="Mend the data, then run the pipeline again.",
        )
    rows = dataset.rows
    return [
        f"{len(rows):,} rows of {len(contract.classes)} classes have every input, finite and of its shape.",
        f"Each split of {len(seeds)} seeds holds every class, and no row is in two parts of one.",
    ]


def broken_rules(dataset: Dataset, contract: ModelContract, seeds: Sequence[int]) -> list[str]:
    """Returns a sentence for each rule that the data break."""
    rows = dataset.rows
    if len(rows) == 0:
        return ["There are no rows."]
    broken = [*_inputs(rows, contract), *_ids(rows), *_classes("The data", rows.labels, contract.classes)]
    if broken:
        return broken  # splits of such rows would only repeat it
    for seed in seeds:
        broken += _split(f"of seed {seed}", dataset.split(seed), rows, contract.classes)
    return broken


def _inputs(rows: Rows, contract: ModelContract) -> list[str]:
    broken = []
    for tensor in contract.inputs:
        values = rows.inputs.get(tensor.name)
        expected = (len(rows), *tensor.shape)
        if values is None:
            broken.append(f"The input {tensor.name} is absent.")
        elif values.shape != expected:
            broken.append(f"The input {tensor.name} has the shape {values.shape}, and not {expected}.")
        elif tensor.datatype == "FP32" and not np.isfinite(values).all():
            bad = ~np.isfinite(values.reshape(len(rows), -1))
            broken.append(
                f"The input {tensor.name} is not finite (NaN or infinite) in {int(bad.any(axis=1).sum())} "
                f"rows, in columns {_named(np.flatnonzero(bad.any(axis=0)))}; {_rows(rows, bad.any(axis=1))}."
            )
        elif tensor.datatype == "BYTES":
            bad = np.asarray([not isinstance(value, str) for value in values.reshape(-1)])
            if bad.any():
                broken.append(f"The input {tensor.name} is no text in {int(bad.sum())} rows.")
    return broken


def _ids(rows: Rows) -> list[str]:
    repeated = len(rows) - len(np.unique(rows.ids))
    return [f"{repeated} rows have the id of another one."] if repeated else []


def _classes(what: str, labels: Labels, classes: Sequence[str]) -> list[str]:
    outside = (labels < 0) | (labels >= len(classes))
    if outside.any():
        return [f"{int(outside.sum())} labels are none of {', '.join(classes)}."]
    counts = np.bincount(labels, minlength=len(classes))
    absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if not absent:
        return []
    present = [name for name in classes if name not in absent]
    if len(present) == 1:
        return [f"{what} hold one class only, {present[0]}; nothing can be learnt without {_all(absent)}."]
    return [f"{what} hold no row of {_all(absent)}."]


def _split(which: str, splits: Splits, rows: Rows, classes: Sequence[str]) -> list[str]:
    broken = _parts(which, splits, len(rows))
    if broken:
        return broken
    for part, indices in splits._asdict().items():
        broken += _classes(f"The {part} rows {which}", rows.labels[indices], classes)
    return broken


def _parts(which: str, splits: Splits, count: int) -> list[str]:
    empty = [part for part, indices in splits._asdict().items() if len(indices) == 0]
    if empty:
        return [f"The split {which} leaves nothing for {_all(empty)}."]
    together = np.concatenate(list(splits))
    if len(np.unique(together)) != len(together):
        return [f"The split {which} has a row in two parts."]
    if together.min() < 0 or together.max() >= count:
        return [f"The split {which} names rows that are not there."]
    return []


def _rows(rows: Rows, bad: Any) -> str:
    found = np.flatnonzero(bad)
    named = ", ".join(str(rows.ids[row]) for row in found[:_NAMED])
    return f"rows {named}{' and more' if len(found) > _NAMED else ''}"


def _named(columns: Any) -> str:
    shown = ", ".join(str(column) for column in columns[:_NAMED])
    return f"{shown}{' and more' if len(columns) > _NAMED else ''}"


def _all(names: Sequence[str]) -> str:
    return " and ".join(names)
