"""What is remembered of a model that takes numbers: those of its FP32 inputs, and its answer as a class.

With the contract of the bundle at hand, the class has its name and the threshold decides, as everywhere in
Sluice. Without it (in a cluster, where only the server has the bundle) the class is its number, the likeliest
one decides, and the feature schema is told as `unknown`.
"""

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

from contracts.bundle import BundleContract
from contracts.facts import Facts
from gateway.backends.backend import Row
from gateway.upstream.addresses import Address
from gateway.upstream.answers import Unfitting
from gateway.upstream.tensors import TensorRead

LABEL: Final = "label"
PROBABILITIES: Final = "probabilities"
REMEMBERED: Final = (LABEL, PROBABILITIES)
UNKNOWN: Final = "unknown"
_TWO: Final = 2
_FLOAT32: Final = struct.Struct("<f")


def fits(contract: BundleContract | None) -> bool:
    """Tells whether a model is known to give what a row is made of."""
    return contract is not None and {tensor.name for tensor in contract.outputs}.issuperset(REMEMBERED)


def rows(
    inputs: Mapping[str, TensorRead], outputs: Mapping[str, TensorRead], address: Address, count: int
) -> list[Row]:
    """Returns what is remembered of `count` rows; nothing of a model that answers in another way.

    Raises:
        Unfitting: a label or a probability cannot be.
    """
    label, probabilities = outputs.get(LABEL), outputs.get(PROBABILITIES)
    if label is None or probabilities is None:
        return []
    if label.datatype != "INT64" or probabilities.datatype != "FP32" or label.total != count:
        return []
    width, left = divmod(probabilities.total, count)
    contract = address.contract
    classes = contract.classes if contract is not None else tuple(map(str, range(width)))
    if left or width != len(classes) or width < _TWO:
        raise Unfitting(f"`{PROBABILITIES}` has another shape")
    scores, labels = probabilities.numbers(), label.numbers()
    if not all(0 <= score <= 1 for score in scores):
        raise Unfitting("a probability is not between 0 and 1")
    if not all(0 <= number < width for number in labels):
        raise Unfitting("a label is no class of the model")
    threshold = contract.threshold if contract is not None else None
    facts = Facts(
        threshold=threshold, schema_digest=contract.schema_digest if contract is not None else UNKNOWN
    )
    made = []
    for at, numbers in enumerate(_numbers(inputs, count)):
        row = scores[at * width : (at + 1) * width]
        decided = _decided(labels[at], row, threshold)
        # With two classes the score is that of the last one; with more, that of the class that was answered.
        made.append(Row(row[-1] if width == _TWO else row[decided], classes[decided], numbers, facts))
    return made


def _decided(label: int, scores: Sequence[float], threshold: float | None) -> int:
    """Returns the number of the class that is decided for (contracts/bundle.py)."""
    if threshold is None:
        return label
    if scores[-1] >= _FLOAT32.unpack(_FLOAT32.pack(threshold))[0]:
        return len(scores) - 1
    others = scores[:-1]
    return others.index(max(others))


def _numbers(inputs: Mapping[str, TensorRead], count: int) -> list[list[float]]:
    columns = []
    for tensor in inputs.values():
        if tensor.datatype == "FP32" and tensor.shape[0] == count:
            width = tensor.total // count
            values: Sequence[Any] = tensor.numbers()
            columns.append([values[at * width : (at + 1) * width] for at in range(count)])
    return [list(chain.from_iterable(column[at] for column in columns)) for at in range(count)]
