"""E-mails on the Open Inference Protocol, as bytes: a request's body to e-mails, tensors to an answer's body.

Both forms are read and written: tensors as JSON, and the binary tensor extension, where the JSON is followed
by the tensors' bytes and a header tells its length. Nothing here knows HTTP. What is not understood is
refused with what to change; parameters that no one here reads are ignored, as the protocol says. Whatever
answers e-mails speaks by this module: the transformer, and the gateway where it answers alone. Errors::

    CallerError
    └── RequestInvalid   400  not a request of the Open Inference Protocol for this model; it says why
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from contracts.tensors import (
    CONTENT_TYPE,
    RAW,
    STRUCTURED,
    TRANSFORMER_EXTRA_OUTPUTS,
    TRANSFORMER_INPUTS,
    TRANSFORMER_OUTPUTS,
    Tensor,
)
from kit.errors import CallerError

INPUT: Final = TRANSFORMER_INPUTS[0]
OUTPUTS: Final[dict[str, Tensor]] = {
    tensor.name: tensor for tensor in (*TRANSFORMER_OUTPUTS, *TRANSFORMER_EXTRA_OUTPUTS)
}
_DEFAULT: Final = tuple(tensor.name for tensor in TRANSFORMER_OUTPUTS)
_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {"FP32": np.dtype("<f4"), "INT64": np.dtype("<i8")}
_LENGTH: Final = struct.Struct("<I")
_MAX_ID: Final = 256

Values = NDArray[np.float32] | NDArray[np.int64] | Sequence[str]


class RequestInvalid(CallerError):
    """The request is none, or none of this model; the message says what to change."""

    code = "invalid_request"
    title = "Not an inference request of this model"


class Wanted(NamedTuple):
    """An output that is to be answered, and in which form."""

    name: str
    binary: bool


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What a request asks."""

    emails: Sequence[bytes]
    structured: bool | None
    """Whether the elements are JSON or raw messages; None if each tells by its first character."""
    outputs: tuple[Wanted, ...]
    id: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The outputs that are wanted."""
        return frozenset(wanted.name for wanted in self.outputs)


def read(body: bytes, header_length: int | None, *, max_emails: int) -> InferenceRequest:
    """Returns the request in `body`; `header_length` is that of its JSON where binary tensors follow.

    Raises:
        RequestInvalid: it is none, with the reason.
    """
    if header_length is not None and not 0 <= header_length <= len(body):
        raise RequestInvalid(f"The JSON cannot have {header_length} bytes in a body of {len(body)}.")
    try:
        document = orjson.loads(body if header_length is None else body[:header_length])
    except orjson.JSONDecodeError as exc:
        raise RequestInvalid(f"The body is not JSON: {exc.msg} (character {exc.pos}).") from None
    if not isinstance(document, dict):
        raise RequestInvalid("The body is not a JSON object.")
    parameters = _parameters(document, "the request")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise RequestInvalid(f"`inputs` must hold one tensor, `{INPUT.name}`.")
    tensor = inputs[0]
    count = _count(tensor, max_emails)
    about = _parameters(tensor, f"`{INPUT.name}`")
    binary = b"" if header_length is None else memoryview(body)[header_length:]
    emails = _binary(binary, about, tensor, count) if "binary_data_size" in about else _listed(tensor, count)
    if len(binary) and "binary_data_size" not in about:
        raise RequestInvalid(f"{len(binary)} bytes follow the JSON, and no tensor has `binary_data_size`.")
    return InferenceRequest(
        emails=emails,
        structured=_structured(about.get(CONTENT_TYPE, parameters.get(CONTENT_TYPE))),
        outputs=_outputs(document.get("outputs"), binary=parameters.get("binary_data_output") is True),
        id=_id(document.get("id")),
    )


def _count(tensor: Mapping[str, Any], max_emails: int) -> int:
    name, datatype, shape = tensor.get("name"), tensor.get("datatype"), tensor.get("shape")
    if name != INPUT.name:
        raise RequestInvalid(f"The one input of this model is `{INPUT.name}`; the request has another.")
    if datatype != INPUT.datatype:
        raise RequestInvalid(f"The datatype of `{INPUT.name}` is {INPUT.datatype}; the request has another.")
    if not isinstance(shape, list) or len(shape) != 1 or type(shape[0]) is not int or shape[0] < 0:
        raise RequestInvalid(f"The shape of `{INPUT.name}` is [N], the number of e-mails.")
    count = shape[0]
    if not 1 <= count <= max_emails:
        raise RequestInvalid(f"A request holds 1 to {max_emails} e-mails, and this one {count}.")
    return count


def _listed(tensor: Mapping[str, Any], count: int) -> list[bytes]:
    data = tensor.get("data")
    if not isinstance(data, list) or not all(type(element) is str for element in data):
        raise RequestInvalid(f"`data` of `{INPUT.name}` must be a list of strings.")
    if len(data) != count:
        raise RequestInvalid(f"`{INPUT.name}` has {len(data)} elements, and its shape says {count}.")
    return [element.encode() for element in data]


def _binary(
    binary: bytes | memoryview, about: Mapping[str, Any], tensor: Mapping[str, Any], count: int
) -> list[bytes]:
    size = about["binary_data_size"]
    if "data" in tensor:
        raise RequestInvalid(f"`{INPUT.name}` has `data` and `binary_data_size`: send one of them.")
    if type(size) is not int or size != len(binary):
        raise RequestInvalid(
            f"`binary_data_size` of `{INPUT.name}` is not {len(binary)}, the number of bytes after the JSON."
        )
    emails: list[bytes] = []
    at = 0
    while at < size and len(emails) < count:
        start = at + _LENGTH.size
        if start > size or (at := start + _LENGTH.unpack_from(binary, at)[0]) > size:
            raise RequestInvalid(f"Element {len(emails)} of `{INPUT.name}` is longer than the tensor.")
        emails.append(bytes(binary[start:at]))
    if at != size or len(emails) != count:
        raise RequestInvalid(f"The bytes of `{INPUT.name}` do not hold the {count} elements of its shape.")
    return emails


def _structured(value: Any) -> bool | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in {RAW, STRUCTURED}:
        raise RequestInvalid(f"`{CONTENT_TYPE}` is {RAW} or {STRUCTURED}; the request has another.")
    return bool(value == STRUCTURED)


def _outputs(listed: Any, *, binary: bool) -> tuple[Wanted, ...]:
    if listed is None or listed == []:
        return tuple(Wanted(name, binary) for name in _DEFAULT)
    if not isinstance(listed, list) or not all(isinstance(output, dict) for output in listed):
        raise RequestInvalid("`outputs` must be a list of objects with a `name`.")
    wanted: dict[str, Wanted] = {}
    for output in listed:
        name = output.get("name")
        if not isinstance(name, str) or name not in OUTPUTS or name in wanted:
            raise RequestInvalid(f"`outputs` names each output once, of: {', '.join(OUTPUTS)}.")
        about = _parameters(output, f"`{name}`")
        if "classification" in about or "shared_memory_region" in about:
            raise RequestInvalid("Neither classification nor shared memory is offered here.")
        wanted[name] = Wanted(name, about.get("binary_data", binary) is True)
    return tuple(wanted.values())


def _parameters(document: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    parameters = document.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestInvalid(f"`parameters` of {what} must be an object.")
    return parameters


def _id(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= _MAX_ID):
        return value
    raise RequestInvalid(f"`id` must be a string of at most {_MAX_ID} characters.")


def written(
    request: InferenceRequest, values: Mapping[str, Values], *, model: str, version: str
) -> tuple[bytes, int | None]:
    """Returns the body of the answer, and the length of its JSON if binary tensors follow it.

    `values` holds each wanted output by name: arrays with first dimension N, or N strings.
    """
    tensors, tail = [], []
    for name, binary in request.outputs:
        contract, given = OUTPUTS[name], values[name]
        tensor: dict[str, Any] = {
            "name": name,
            "datatype": contract.datatype,
            "shape": [len(request.emails), *contract.shape],
        }
        if not binary:
            tensor["data"] = given.ravel() if isinstance(given, np.ndarray) else given
        else:
            raw = _raw(given, contract)
            tensor["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        tensors.append(tensor)
    document: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": tensors}
    if request.id is not None:
        document["id"] = request.id
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join([head, *tail]), len(head)) if tail else (head, None)


def _raw(given: Values, contract: Tensor) -> bytes:
    if isinstance(given, np.ndarray):
        return np.asarray(given, dtype=_DTYPES[contract.datatype]).tobytes()
    return packed([element.encode() for element in given])


def packed(elements: Sequence[bytes]) -> bytes:
    """Returns a tensor of BYTES as the protocol carries it: each element after its length."""
    return b"".join([part for element in elements for part in (_LENGTH.pack(len(element)), element)])
