"""Answers of a server, held against what was asked: nothing else goes on to a caller."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from contracts.tensors import Tensor
from gateway.upstream.addresses import Address
from gateway.upstream.client import Reply
from gateway.upstream.tensors import Malformed, TensorRead, document, tensors

_MAX_VERSION: Final = 64


class Unfitting(Exception):
    """An answer is not what was asked for; the message is ours."""


class Answered(NamedTuple):
    """An answer of the model, as the protocol has it."""

    version: str
    id: str | None
    tensors: dict[str, TensorRead]


def read(reply: Reply, address: Address) -> Answered:
    """Returns the answer in a reply of status 200.

    Raises:
        Unfitting: it is none, or of another model.
    """
    try:
        found, tail = document(reply.body, reply.json_length)
        outputs = tensors(found.get("outputs"), tail)
    except Malformed as exc:
        raise Unfitting(f"its answer is none of the protocol: {exc}") from None
    if found.get("model_name") != address.model:
        raise Unfitting("it answered for another model")
    version, name = found.get("model_version"), found.get("id")
    if not isinstance(version, str) or not version.isdecimal() or len(version) > _MAX_VERSION:
        raise Unfitting("it named no version")
    if not address.transformer and address.version not in {None, version}:
        raise Unfitting("it answered by another version")
    if not isinstance(name, str | None):
        raise Unfitting("the id of its answer is no text")
    return Answered(version, name, outputs)


def require(found: Mapping[str, TensorRead], tensor: Tensor, rows: int) -> None:
    """Returns if the output `tensor` is there as the contract has it, for `rows` rows.

    Raises:
        Unfitting: it is not.
    """
    given = found.get(tensor.name)
    if given is None:
        raise Unfitting(f"`{tensor.name}` is absent")
    if given.datatype != tensor.datatype:
        raise Unfitting(f"`{tensor.name}` is not {tensor.datatype}")
    # Triton describes single values as [N, 1].
    if given.shape not in {(rows, *tensor.shape), (rows, *(tensor.shape or (1,)))}:
        raise Unfitting(f"`{tensor.name}` has another shape")
