"""Golden rows: the few rows by which a model version is known, wherever it answers.

They are made from the bundle's contract alone, always the same ones; what they must give is computed by ONNX
Runtime from the bundle's own graph. Before requests go to a version, its tensors are held against its
contract (`conformance`), and these rows are asked through the wire (`check`). Errors::

    Refused
    ├── ContractMismatch   the tensors that are served are not those of the contract
    └── GoldenMismatch     a row is answered other than the bundle's graph answers it
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import BundleContract
from contracts.tensors import Tensor
from kit.bundle import Bundle
from kit.errors import Refused
from kit.onnx_function import OnnxFunction
from serving.model_repository import wire_shape

ROWS: Final = 24
TOLERANCE: Final = 1e-6
"""Largest difference of a float that is taken for the same; the certificate's (docs/bundle.md)."""

_BATCH_ROWS: Final = 8
"""Rows asked at once: several batches, each within any server's limit."""
_SEED: Final = 20_240_607
_LONGEST_TEXT: Final = 400
_UNKNOWN: Final = ("zzunknownword", "ünbekannt", "未知", "_placeholder")
_LISTED: Final = 5

Arrays = Mapping[str, NDArray[Any]]
Infer = Callable[[Arrays], Arrays]
"""From inputs of N rows, by name, to outputs of N rows; text is str."""


class ContractMismatch(Refused):
    """The tensors that are served are not those of the contract; `reasons` has a sentence for each."""

    code = "contract_mismatch"
    title = "Served tensors differ from the contract"


class Difference(NamedTuple):
    """One value of one golden row that is not what it must be."""

    row: int
    tensor: str
    expected: float | str
    answered: float | str

    def __str__(self) -> str:
        return f"Golden row {self.row}: {self.tensor} is {self.answered}, and must be {self.expected}."


class GoldenMismatch(Refused):
    """A golden row is answered other than the bundle answers it; `differences` holds every one."""

    code = "golden_mismatch"
    title = "Golden rows are answered differently"

    def __init__(self, differences: list[Difference], compared: int) -> None:
        rows = len({difference.row for difference in differences})
        more = len(differences) - _LISTED
        super().__init__(
            f"{rows} of {compared} golden rows are answered other than the bundle's own graph answers them.",
            reasons=[*map(str, differences[:_LISTED]), *([f"And {more} more."] if more > 0 else [])],
            next_step="Another model answers there, or the same one is run differently: do not serve it.",
        )
        self.differences = tuple(differences)


def rows(contract: BundleContract) -> dict[str, NDArray[Any]]:
    """Returns the golden rows of a contract: an array of `ROWS` rows for each input, texts as str.

    Texts are empty, of the model's own terms, of words that it does not know, and long; numbers are zeros,
    ones, shares, up to ten, and spread over many sizes.
    """
    random = np.random.default_rng(_SEED)
    return {tensor.name: _values(tensor, contract.terms, random) for tensor in contract.inputs}


def expected(bundle: Bundle, inputs: Arrays) -> dict[str, NDArray[Any]]:
    """Returns what the bundle's own graph gives, by name."""
    return OnnxFunction(bundle.model.read_bytes())(inputs)


def check(bundle: Bundle, infer: Infer) -> None:
    """Asks the golden rows by `infer`, in batches and one alone, and holds the answers against the bundle's.

    Raises:
        GoldenMismatch: an answer differs; floats may by `TOLERANCE`, all else by nothing.
    """
    asked = rows(bundle.contract)
    wanted = expected(bundle, asked)
    differences: list[Difference] = []
    for start, end in [*((at, at + _BATCH_ROWS) for at in range(0, ROWS, _BATCH_ROWS)), (ROWS - 1, ROWS)]:
        answers = infer({name: values[start:end] for name, values in asked.items()})
        for tensor in bundle.contract.outputs:
            part = wanted[tensor.name][start:end]
            differences += _differences(start, tensor.name, part, answers.get(tensor.name))
    ties = _ties(bundle.contract, wanted)
    differences = [found for found in differences if (found.row, found.tensor) not in ties]
    if differences:
        raise GoldenMismatch(sorted(set(differences), key=lambda found: found.row), ROWS)


def conformance(contract: BundleContract, metadata: Mapping[str, Any]) -> None:
    """Holds a served model's metadata (Open Inference Protocol, as JSON) against the contract.

    Raises:
        ContractMismatch: the name, or a tensor's name, datatype or shape is another.
    """
    reasons = []
    if metadata.get("name") != contract.workload:
        reasons.append(f"The model is called {metadata.get('name')}, and not {contract.workload}.")
    for role, promised in (("input", contract.inputs), ("output", contract.outputs)):
        served = {tensor["name"]: tensor for tensor in metadata.get(f"{role}s", [])}
        wanted = {tensor.name: tensor for tensor in promised}
        reasons += [f"There is no {role} {name}." for name in wanted.keys() - served.keys()]
        reasons += [f"The {role} {name} is not in the contract." for name in served.keys() - wanted.keys()]
        for name in wanted.keys() & served.keys():
            # gRPC's JSON form writes 64-bit numbers as text.
            shape = tuple(int(size) for size in served[name]["shape"])
            if served[name]["datatype"] != wanted[name].datatype:
                kind = served[name]["datatype"]
                reasons.append(f"The {role} {name} is {kind}, and not {wanted[name].datatype}.")
            if shape != (-1, *wire_shape(wanted[name])):
                told = [-1, *wire_shape(wanted[name])]
                reasons.append(f"The {role} {name} is of shape {list(shape)}, and not {told}.")
    if reasons:
        raise ContractMismatch(
            f"The tensors served for {contract.workload} are not those of its contract.",
            reasons=sorted(reasons),
            next_step="Serve the bundle's own model, with the configuration that Sluice writes.",
        )


def _values(tensor: Tensor, terms: Sequence[str], random: np.random.Generator) -> NDArray[Any]:
    shape = (ROWS, *tensor.shape)
    size = int(np.prod(shape))
    if tensor.datatype == "BYTES":
        values = np.empty(size, dtype=object)
        values[:] = [_text(at, terms, random) for at in range(size)]
        return values.reshape(shape)
    if tensor.datatype == "INT64":
        return random.integers(0, 100, shape, dtype=np.int64)
    # Whatever the unit of a number is, some rows lie on either side of a split.
    sizes = 10.0 ** random.uniform(-2, 3, (ROWS, *(1 for _ in tensor.shape)))
    numbers = (random.random(shape) * sizes).astype(np.float32)
    numbers[0], numbers[1] = 0, 1
    for part, largest in ((slice(ROWS // 4, ROWS // 2), 1), (slice(ROWS // 2, 3 * ROWS // 4), 10)):
        numbers[part] = random.random(shape, dtype=np.float32)[part] * largest
    return numbers


def _text(at: int, terms: Sequence[str], random: np.random.Generator) -> str:
    if at == 0:
        return ""
    known = [terms[index] for index in random.integers(0, len(terms), 3 * at)] if terms else []
    unknown = list(_UNKNOWN[: at % (len(_UNKNOWN) + 1)])
    longest = [*known, *unknown] * (_LONGEST_TEXT if at == ROWS - 1 else 1)
    return " ".join(unknown if at == 1 else longest)


def _differences(
    start: int, name: str, wanted: NDArray[Any], answered: NDArray[Any] | None
) -> Iterator[Difference]:
    if answered is None or answered.size != wanted.size or answered.dtype.kind != wanted.dtype.kind:
        what = "absent" if answered is None else f"{answered.dtype} {list(answered.shape)}"
        yield Difference(start, name, f"{wanted.dtype} {list(wanted.shape)}", what)
        return
    # The wire gives a row of single values a dimension of its own.
    given = answered.reshape(wanted.shape)
    # What is near is asked for, and not what is far: a NaN is neither.
    same = np.abs(given - wanted) <= TOLERANCE if wanted.dtype.kind == "f" else given == wanted
    for index in np.argwhere(~np.asarray(same, dtype=bool)):
        at = tuple(index)
        place = f"{name}{list(map(int, at[1:]))}" if len(at) > 1 else name
        yield Difference(start + int(at[0]), place, wanted[at].item(), given[at].item())


def _ties(contract: BundleContract, wanted: Arrays) -> set[tuple[int, str]]:
    """Returns the labels of rows whose two largest probabilities are as good as equal: rounding decides."""
    if not {"label", "probabilities"} <= {tensor.name for tensor in contract.outputs}:
        return set()
    ordered = np.sort(wanted["probabilities"], axis=1)
    return {(int(row), "label") for row in np.flatnonzero(ordered[:, -1] - ordered[:, -2] <= TOLERANCE)}
