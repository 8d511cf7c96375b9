"""Tensors of the Open Inference Protocol as they come: JSON, or bytes behind the JSON.

Nothing is believed: what a shape says is held against what is there, and numbers are finite. The sentences
of `Malformed` are ours and hold nothing of the content, so they may be told to anybody.
"""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

_LENGTH: Final = struct.Struct("<I")
_MAX_DIMENSIONS: Final = 8
_WIDTHS: Final = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4,
    "INT64": 8, "FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8,
}  # fmt: skip
_FLOATS: Final = frozenset({"FP32", "FP64"})
_CODES: Final = {"FP32": "f", "FP64": "d", "INT64": "q", "INT32": "i"}
_MAX_SIZE: Final = 1 << 31
_SIZES: Final = frozenset({int})
_SINGLE: Final = frozenset({str, int, float, bool})
_FLOAT32_MAX: Final = (2 - 2**-23) * 2.0**127
BYTES: Final = "BYTES"


class Malformed(ValueError):
    """This is no document of the protocol; the sentence says why."""


class TensorRead(NamedTuple):
    """One tensor of a request or an answer."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    total: int
    """Elements, by the shape."""
    raw: memoryview | None
    """Its bytes, or None if it came as JSON."""
    data: Sequence[Any] | None
    """Its elements as JSON has them, flat; or None if it came as bytes."""
    parameters: Mapping[str, Any]

    def numbers(self) -> Sequence[Any]:
        """Returns the numbers, flat, as they are in their datatype; of FP32, FP64, INT32 and INT64."""
        form = f"<{self.total}{_CODES[self.datatype]}"
        raw = struct.pack(form, *(self.data or ())) if self.raw is None else self.raw
        return struct.unpack(form, raw)

    def elements(self) -> list[bytes]:
        """Returns the elements of BYTES."""
        if self.data is not None:
            return [element.encode() for element in self.data]
        assert self.raw is not None  # noqa: S101 - one of the two is there
        return [bytes(self.raw[begin:end]) for begin, end in _places(self.raw, self.total)]


def document(body: bytes, json_length: int | None) -> tuple[dict[str, Any], memoryview]:
    """Returns the JSON object of a body, and the bytes behind it.

    Raises:
        Malformed: there is none.
    """
    if json_length is not None and not 0 < json_length <= len(body):
        raise Malformed("The length of the JSON does not fit the body.")
    try:
        read = orjson.loads(body if json_length is None else body[:json_length])
    except orjson.JSONDecodeError as exc:
        raise Malformed(f"The body is not JSON: {exc.msg} (character {exc.pos}).") from None
    if not isinstance(read, dict):
        raise Malformed("The body is not a JSON object.")
    return read, memoryview(body)[len(body) if json_length is None else json_length :]


def tensors(listed: Any, tail: memoryview) -> dict[str, TensorRead]:
    """Returns the tensors that a document lists, by name, in their order; the bytes behind it must be theirs.

    Raises:
        Malformed: one is none, or holds something other than its shape and datatype say.
    """
    if not isinstance(listed, list) or not listed:
        raise Malformed("The list of tensors is absent, empty or no list.")
    found: dict[str, TensorRead] = {}
    at = 0
    for number, described in enumerate(listed):
        try:
            tensor, at = _tensor(described, tail, at)
        except Malformed as exc:
            raise Malformed(f"Tensor {number}: {exc}") from None
        if tensor.name in found:
            raise Malformed(f"Tensor {number}: its name is there twice.")
        found[tensor.name] = tensor
    if at != len(tail):
        raise Malformed("More bytes follow the JSON than its tensors have.")
    return found


def parameters_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a request or a tensor; empty without any.

    Raises:
        Malformed: they are no object of single values.
    """
    parameters = described.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict) or not _SINGLE.issuperset(map(type, parameters.values())):
        raise Malformed("`parameters` must be an object of strings, numbers and booleans.")
    return parameters


def _tensor(described: Any, tail: memoryview, at: int) -> tuple[TensorRead, int]:
    if not isinstance(described, dict):
        raise Malformed("it is no object.")
    name, datatype = described.get("name"), described.get("datatype")
    if not isinstance(name, str) or not name:
        raise Malformed("it has no name.")
    if not isinstance(datatype, str) or (datatype != BYTES and datatype not in _WIDTHS):
        raise Malformed("its datatype is not one of the protocol.")
    shape, count = _shape(described.get("shape"))
    parameters = parameters_of(described)
    size = parameters.get("binary_data_size")
    if (size is None) == ("data" not in described):
        raise Malformed("it needs either `data` or `binary_data_size`.")
    if size is None:
        data = list(_flat(described["data"], _MAX_DIMENSIONS))
        _check(data, datatype, count)
        return TensorRead(name, datatype, shape, count, None, data, parameters), at
    if type(size) is not int or not 0 <= size <= len(tail) - at:
        raise Malformed("fewer bytes follow the JSON than its `binary_data_size` says.")
    raw = tail[at : at + size]
    _check_bytes(raw, datatype, count)
    return TensorRead(name, datatype, shape, count, raw, None, parameters), at + size


def _check_bytes(raw: memoryview, datatype: str, count: int) -> None:
    """Raises Malformed unless the bytes of a tensor are what its shape and datatype say."""
    if datatype == BYTES:
        _places(raw, count)
    elif len(raw) != count * _WIDTHS[datatype]:
        raise Malformed("its bytes are not as many as its shape and datatype say.")
    elif datatype in _FLOATS and not all(
        map(math.isfinite, struct.unpack(f"<{count}{_CODES[datatype]}", raw))
    ):
        raise Malformed("its numbers must be finite.")


def _shape(shape: Any) -> tuple[tuple[int, ...], int]:
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= _MAX_DIMENSIONS
        or not _SIZES.issuperset(map(type, shape))
        or not 0 <= min(shape) <= max(shape) < _MAX_SIZE
    ):
        raise Malformed("its shape is no list of sizes.")
    return tuple(shape), math.prod(shape)


def _flat(data: Any, depth: int) -> Iterator[Any]:
    if not isinstance(data, list) or depth == 0:
        raise Malformed("its `data` is no list.")
    for element in data:
        if isinstance(element, list):
            yield from _flat(element, depth - 1)
        else:
            yield element


def _check(data: Sequence[Any], datatype: str, count: int) -> None:
    """Raises Malformed unless `data` holds `count` elements of `datatype`."""
    if len(data) != count:
        raise Malformed("its `data` has not as many elements as its shape says.")
    if datatype == BYTES:
        fits = all(type(element) is str for element in data)
    elif datatype == "BOOL":
        fits = all(type(element) is bool for element in data)
    elif "INT" in datatype:
        bits = 8 * _WIDTHS[datatype]
        low, high = (0, (1 << bits) - 1) if datatype[0] == "U" else (-1 << (bits - 1), (1 << (bits - 1)) - 1)
        fits = all(type(element) is int and low <= element <= high for element in data)
    else:
        most = math.inf if datatype == "FP64" else _FLOAT32_MAX
        fits = all(type(element) in {int, float} and abs(element) <= most for element in data)
    if not fits:
        raise Malformed("its `data` holds something that is not of its datatype.")


def _places(raw: memoryview, count: int) -> list[tuple[int, int]]:
    """Returns where each of the `count` elements of BYTES begins and ends.

    Raises:
        Malformed: there are not as many.
    """
    found: list[tuple[int, int]] = []
    at, size = 0, len(raw)
    while at < size:
        begin = at + _LENGTH.size
        if begin > size or (at := begin + _LENGTH.unpack_from(raw, at)[0]) > size:
            raise Malformed("an element is longer than the tensor.")
        found.append((begin, at))
        if len(found) > count:
            break
    if len(found) != count:
        raise Malformed("its bytes do not hold as many elements as its shape says.")
    return found


def packed(elements: Sequence[bytes]) -> bytes:
    """Returns a tensor of BYTES as the protocol carries it: each element after its length."""
    return b"".join([part for element in elements for part in (_LENGTH.pack(len(element)), element)])
