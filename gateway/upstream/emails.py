"""E-mails as one request to a transformer, and its answer as predictions: `contracts/tensors.py` on the wire.

Everything goes as bytes behind the JSON: floats come back as the very ones that the model gave.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import orjson
from pydantic import ValidationError

from contracts.facts import Facts
from contracts.tensors import (
    CONTENT_TYPE,
    RAW,
    STRUCTURED,
    TRANSFORMER_EXTRA_OUTPUTS,
    TRANSFORMER_INPUTS,
    TRANSFORMER_OUTPUTS,
    Tensor,
)
from gateway.backends.backend import Email, Prediction
from gateway.upstream.addresses import Address
from gateway.upstream.answers import Unfitting, require
from gateway.upstream.tensors import TensorRead, packed

MAX_EMAILS: Final = 128
"""Of one request: what a transformer takes by default."""
MAX_BYTES: Final = 4 << 20
"""Of one request; a single e-mail may be longer."""
EMAIL: Final = TRANSFORMER_INPUTS[0].name
OUTPUTS: Final = {tensor.name: tensor for tensor in (*TRANSFORMER_OUTPUTS, *TRANSFORMER_EXTRA_OUTPUTS)}
DEFAULT_OUTPUTS: Final = tuple(tensor.name for tensor in TRANSFORMER_OUTPUTS)
REMEMBERED: Final = ("probability", "verdict", "numeric", "facts")
"""The outputs that a row of the records is made of."""
_ASKED: Final = ("probability", "label", "verdict", "numeric", "facts")
_EXPLANATION: Final = "explanation"
_MAX_VERDICT: Final = 64


class Part(NamedTuple):
    """E-mails of one kind that go in one request, and where in the batch they stood."""

    positions: Sequence[int]
    emails: Sequence[Email]


def parts_of(emails: Sequence[Email]) -> list[Part]:
    """Returns the requests that a batch is made into: by kind, and none larger than a transformer takes."""
    parts = []
    by_kind = sorted(range(len(emails)), key=lambda at: emails[at].structured)
    for _, alike in groupby(by_kind, key=lambda at: emails[at].structured):
        parts += [Part(part, [emails[at] for at in part]) for part in _bounded(emails, alike)]
    return parts


def _bounded(emails: Sequence[Email], positions: Iterator[int]) -> Iterator[list[int]]:
    part: list[int] = []
    size = 0
    for at in positions:
        if part and (len(part) == MAX_EMAILS or size + len(emails[at].data) > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(at)
        size += len(emails[at].data)
    yield part


def _rest_of_head(*, explain: bool) -> bytes:
    names = [*_ASKED, *([_EXPLANATION] if explain else [])]
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in names]
    return b',"outputs":' + orjson.dumps(outputs) + b"}"


_RESTS: Final = (_rest_of_head(explain=False), _rest_of_head(explain=True))
_HEAD: Final = (
    b'{"inputs":[{"name":"%b","datatype":"BYTES","shape":[%%d],"parameters":'
    b'{"binary_data_size":%%d,"%b":"%%b"}}]' % (EMAIL.encode(), CONTENT_TYPE.encode())
)
_KINDS: Final = (RAW.encode(), STRUCTURED.encode())


def written(emails: Sequence[Email], *, explain: bool) -> tuple[bytes, int]:
    """Returns the body of a request for e-mails of one kind, and the length of its JSON."""
    data = packed([email.data for email in emails])
    head = _HEAD % (len(emails), len(data), _KINDS[emails[0].structured]) + _RESTS[explain]
    return head + data, len(head)


def predictions(
    found: dict[str, TensorRead], address: Address, version: str, count: int, *, explain: bool
) -> list[Prediction]:
    """Returns what a transformer says of `count` e-mails.

    Raises:
        Unfitting: an output is absent, or is not what the contract says.
    """
    explanations: Sequence[object] = (None,) * count
    if explain:
        require(found, OUTPUTS[_EXPLANATION], count)
        explanations = [_document(element) for element in found[_EXPLANATION].elements()]
    require(found, OUTPUTS["label"], count)
    return [
        Prediction(verdict, probability, numbers, facts, explanation)  # type: ignore[arg-type]
        for (probability, verdict, numbers, facts), explanation in zip(
            remembered(found, address, version, count), explanations, strict=True
        )
    ]


def remembered(
    found: dict[str, TensorRead], address: Address, version: str, count: int
) -> Iterator[tuple[float, str, Sequence[float], Facts]]:
    """Yields of each row what the records keep: probability, verdict, numbers and facts.

    Raises:
        Unfitting: an output is absent, or is not what the contract says.
    """
    for name in REMEMBERED:
        require(found, OUTPUTS[name], count)
    probabilities = found["probability"].numbers()
    verdicts = [_verdict(element, address, version) for element in found["verdict"].elements()]
    numeric = found["numeric"].numbers()
    width = _width(OUTPUTS["numeric"])
    if not 0 <= min(probabilities) <= max(probabilities) <= 1:
        raise Unfitting("a probability is not between 0 and 1")
    for at, element in enumerate(found["facts"].elements()):
        try:
            facts = Facts.model_validate_json(element)
        except ValidationError:
            raise Unfitting("the facts are not those of the contract") from None
        yield probabilities[at], verdicts[at], numeric[at * width : (at + 1) * width], facts


def hashes(inputs: Mapping[str, TensorRead]) -> list[str]:
    """Returns the hex SHA-256 of each e-mail of a request that was answered."""
    return [hashlib.sha256(element).hexdigest() for element in inputs[EMAIL].elements()]


def _verdict(element: bytes, address: Address, version: str) -> str:
    try:
        verdict = element.decode()
    except UnicodeDecodeError:
        raise Unfitting("a verdict is no text") from None
    contract = address.contract
    if contract is not None and address.version == version:
        if verdict not in contract.classes:
            raise Unfitting("a verdict is no class of the model")
    elif not 0 < len(verdict) <= _MAX_VERDICT or not verdict.isprintable():
        raise Unfitting("a verdict is no class")
    return verdict


def _document(element: bytes) -> object:
    try:
        read = orjson.loads(element)
    except orjson.JSONDecodeError:
        raise Unfitting("an explanation is not JSON") from None
    if not isinstance(read, dict):
        raise Unfitting("an explanation is no object")
    return read


def _width(tensor: Tensor) -> int:
    return tensor.shape[0]
