"""What a model version was made on, from its bundle, as columns to compare traffic with."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import SCORE_PREFIX, TEXT_PREFIX, BundleContract
from kit.bundle import Bundle, BundleDamaged, load
from kit.home import Home
from monitoring.drift.columns import SCORE, TEXT, Column, Sample, family_of
from monitoring.errors import ReferenceUnusable
from records.bundles import fetched

PROBABILITY: Final = "probability"
"""The column of the score, as `prediction_logs` has it."""
LABEL: Final = "label"
"""The column of the verdict; in a reference file it is the true label."""
_ID: Final = "id"
_TENTHS: Final = (float(np.nextafter(np.float32(0), np.float32(-1))), *(tenth / 10 for tenth in range(1, 11)))
_BINARY: Final = 2


@dataclass(frozen=True)
class Reference:
    """The reference of one bundle: M rows as traffic would show them, and what was true of each."""

    contract: BundleContract
    sample: Sample
    """The columns of the inputs in the order of the contract, those of the text, the score, the label."""
    numbers: int
    """How many columns are input numbers."""
    statistics: tuple[str, ...]
    """Names in `text_statistics`, in the order of the text columns."""
    probabilities: NDArray[np.float64]
    """[M, K], of each class."""
    truth: NDArray[np.int64]
    """[M], the true class."""


def bundle_of(home: Home, model: str, version: str) -> Bundle:
    """Returns the bundle of a version: the one on this machine if it is whole, else from the registry.

    Raises:
        VersionMissing: neither this machine nor the registry knows it.
        RegistryUnavailable: it is not here, and the registry does not answer.
        BundleDamaged: what the registry gives is not what was registered.
        Locked: another process has been fetching it for too long.
    """
    folder = home.bundles / model / version
    if folder.exists():
        try:
            return load(folder)
        except BundleDamaged:
            pass  # it is fetched again
    from records.model_registry import opened

    return fetched(opened(home), home, model, version)


def reference_of(bundle: Bundle) -> Reference:
    """Returns the reference of a bundle.

    Raises:
        ReferenceUnusable: the file cannot be read, has no rows, or lacks columns.
    """
    import pyarrow as pa

    try:
        table = bundle.reference()
    except (OSError, pa.ArrowException) as exc:
        raise _unusable(bundle, "cannot be read") from exc
    if not table.num_rows:
        raise _unusable(bundle, "has no rows")
    contract = bundle.contract
    scores = [f"{SCORE_PREFIX}{name}" for name in contract.classes]
    inputs = [name for name in table.column_names if name not in {_ID, LABEL, *scores}]
    numbers = sum(int(np.prod(tensor.shape)) for tensor in contract.inputs if tensor.datatype == "FP32")
    absent = [name for name in (LABEL, *scores) if name not in table.column_names]
    if absent or len(inputs) < numbers:
        what = f"lacks {', '.join(absent)}" if absent else f"holds {len(inputs)} of {numbers} numbers"
        raise _unusable(bundle, what)
    probabilities = np.stack([_numbers(table, name) for name in scores], axis=1)
    columns = [Column(name, family_of(name)) for name in inputs[:numbers]]
    columns += [Column(name, TEXT) for name in inputs[numbers:]]
    columns += answer_columns(contract)
    values = [_numbers(table, name) for name in inputs]
    values += [scored(probabilities), answered(contract, probabilities).astype(np.float64)]
    return Reference(
        contract,
        Sample(tuple(columns), np.stack(values, axis=1).astype(np.float32)),
        numbers,
        tuple(name.removeprefix(TEXT_PREFIX) for name in inputs[numbers:]),
        probabilities,
        np.asarray(table[LABEL].to_numpy(zero_copy_only=False), dtype=np.int64),
    )


def answer_columns(contract: BundleContract) -> list[Column]:
    """Returns the columns of what a model answers: its score and its label."""
    # A label that no class has would be an error worth seeing, so it has a place of its own.
    return [
        Column(PROBABILITY, SCORE, bands=_TENTHS),
        Column(LABEL, SCORE, ordered=False, categories=(*contract.classes, "another label")),
    ]


def scored(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the score of each row as it is recorded: of the last of two classes, else of the answer."""
    if probabilities.shape[1] == _BINARY:
        return probabilities[:, 1]
    return np.asarray(probabilities.max(axis=1))


def answered(contract: BundleContract, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the class that each row is answered with, by the contract's threshold if it has one."""
    answers = probabilities.argmax(axis=1)
    if contract.threshold is not None:
        others = probabilities[:, :-1].argmax(axis=1)
        last = probabilities.shape[1] - 1
        answers = np.where(probabilities[:, -1] >= contract.threshold, last, others)
    return np.asarray(answers, dtype=np.int64)


def _numbers(table: Any, name: str) -> NDArray[np.float64]:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)


def _unusable(bundle: Bundle, what: str) -> ReferenceUnusable:
    return ReferenceUnusable(
        f"The reference in the bundle {bundle.folder} {what}, so there is nothing to compare traffic with.",
        next_step="Train the model anew with the pipeline, which writes a reference with every bundle, and "
        "promote the new version.",
    )
