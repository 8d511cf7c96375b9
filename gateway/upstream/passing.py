"""Inferences that are passed through: a client sees what it asked for, and the records get what they need.

A request is read, checked and written anew, so that a server sees nothing that was not looked at here. The
outputs that a row of the records is made of are asked for too, and taken out of the answer again. Shared
memory and classification are not offered: the one reaches into the server, the other is no tensor of the
model.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from contracts.tensors import Tensor
from gateway.backends.backend import Answer, Row
from gateway.errors import RequestInvalid
from gateway.upstream import emails, numbers
from gateway.upstream.addresses import Address
from gateway.upstream.answers import Answered, Unfitting, require
from gateway.upstream.tensors import Malformed, TensorRead, document, parameters_of, tensors

_MAX_ID: Final = 256
_NOT_OFFERED: Final = ("shared_memory", "classification")
_KEPT: Final = ("name", "datatype", "shape", "parameters", "data")


class Passed(NamedTuple):
    """A request as it goes to the server, and what its answer is held against."""

    body: bytes
    json_length: int | None
    inputs: Mapping[str, TensorRead]
    rows: int
    wanted: frozenset[str] | None
    """The outputs that the client is to see; None for all that the server gives."""
    hidden: frozenset[str]
    """Those that were added here."""


def written(address: Address, body: bytes, json_length: int | None) -> Passed:
    """Returns the request in `body`, written anew with the outputs that are to be remembered.

    Raises:
        RequestInvalid: it is none, with the reason.
    """
    try:
        asked, tail = document(body, json_length)
        parameters = parameters_of(asked)
        inputs = tensors(asked.get("inputs"), tail)
        outputs = _outputs(asked.get("outputs"))
    except Malformed as exc:
        raise RequestInvalid(str(exc)) from None
    if any(_is_not_offered(tensor.parameters) for tensor in inputs.values()):
        raise RequestInvalid("Neither classification nor shared memory is offered here.")
    name = asked.get("id")
    if not isinstance(name, str | None) or len(name or "") > _MAX_ID:
        raise RequestInvalid(f"`id` must be a string of at most {_MAX_ID} characters.")
    rows = _rows(address, inputs)
    offered = offered_by(address)
    if offered is not None and (unknown := outputs.keys() - offered.keys()):
        raise RequestInvalid(
            f"{len(unknown)} of `outputs` are unknown; the model's are: {', '.join(offered)}."
        )
    wanted, hidden = _completed(address, outputs, binary=parameters.get("binary_data_output") is True)
    head: dict[str, Any] = {"id": name} if name is not None else {}
    if parameters:
        head["parameters"] = parameters
    head["inputs"] = [{key: tensor[key] for key in _KEPT if key in tensor} for tensor in asked["inputs"]]
    if outputs:
        head["outputs"] = [{"name": name, "parameters": about} for name, about in outputs.items()]
    rendered = orjson.dumps(head)
    return Passed(
        body=rendered + tail,
        json_length=len(rendered) if len(tail) else None,
        inputs=inputs,
        rows=rows,
        wanted=wanted,
        hidden=hidden,
    )


def answer(passed: Passed, answered: Answered, address: Address) -> Answer:
    """Returns what the client sees of an answer, and what is remembered of it.

    Raises:
        Unfitting: it is not what was asked for.
    """
    found = answered.tensors
    shown = {name: tensor for name, tensor in found.items() if name not in passed.hidden}
    if passed.wanted is not None and shown.keys() != passed.wanted:
        raise Unfitting("its answer has other outputs than it was asked for")
    offered = offered_by(address)
    for name, tensor in found.items():
        if offered is None:
            if tensor.shape[0] != passed.rows:
                raise Unfitting("an output has another number of rows")
        elif name not in offered:
            raise Unfitting("its answer has an output that the model does not have")
        else:
            require(found, offered[name], passed.rows)
    rows = _remembered(passed, answered, address)
    body, json_length = _rendered(shown, answered, address)
    return Answer(
        body=body,
        content_type="application/json" if json_length is None else "application/octet-stream",
        version=answered.version,
        json_length=json_length,
        rows=rows,
    )


def offered_by(address: Address) -> Mapping[str, Tensor] | None:
    """Returns the outputs of a model by name; None if nobody can tell."""
    if address.transformer:
        return emails.OUTPUTS
    if address.contract is None:
        return None
    return {tensor.name: tensor for tensor in address.contract.outputs}


def _rows(address: Address, inputs: Mapping[str, TensorRead]) -> int:
    """Returns how many rows a request has, after its inputs were held against the model's own."""
    rows = next(iter(inputs.values())).shape[0]
    if rows < 1:
        raise RequestInvalid("A request has one row at least.")
    if not address.transformer and address.contract is not None:
        expected = {tensor.name: tensor for tensor in address.contract.inputs}
        if inputs.keys() != expected.keys():
            raise RequestInvalid(f"The inputs of {address.model} are: {', '.join(expected)}.")
        for name, tensor in expected.items():
            given = inputs[name]
            if given.datatype != tensor.datatype or given.shape != (rows, *tensor.shape):
                shape = ", ".join(["N", *map(str, tensor.shape)])
                raise RequestInvalid(
                    f"`{name}` is {tensor.datatype} of shape [{shape}], with the same N for all inputs."
                )
    return rows


def _outputs(listed: Any) -> dict[str, dict[str, Any]]:
    """Returns the outputs that a request names, with their parameters."""
    if listed is None:
        return {}
    if not isinstance(listed, list):
        raise Malformed("`outputs` must be a list.")
    found: dict[str, dict[str, Any]] = {}
    for output in listed:
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(name, str) or not name or name in found:
            raise Malformed("`outputs` must hold objects with a `name`, each name once.")
        found[name] = parameters_of(output)
        if _is_not_offered(found[name]):
            raise Malformed("Neither classification nor shared memory is offered here.")
    return found


def _is_not_offered(parameters: Mapping[str, Any]) -> bool:
    return any(name.startswith(_NOT_OFFERED) for name in parameters)


def _completed(
    address: Address, outputs: dict[str, dict[str, Any]], *, binary: bool
) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Adds to `outputs` what is remembered; returns what the client wanted, and what was added."""
    remembered: Sequence[str] = emails.REMEMBERED
    if not address.transformer:
        if not outputs:
            return None, frozenset()  # Triton gives all of them
        remembered = numbers.REMEMBERED if numbers.fits(address.contract) else ()
    elif not outputs:
        outputs |= {name: {"binary_data": binary} for name in emails.DEFAULT_OUTPUTS}
    wanted = frozenset(outputs)
    hidden = frozenset(remembered) - wanted
    outputs |= {name: {"binary_data": True} for name in remembered if name in hidden}
    return wanted, hidden


def _remembered(passed: Passed, answered: Answered, address: Address) -> list[Row]:
    if not address.transformer:
        return numbers.rows(passed.inputs, answered.tensors, address, passed.rows)
    found = emails.remembered(answered.tensors, address, answered.version, passed.rows)
    return [
        Row(probability, verdict, numeric, facts, sha256)
        for (probability, verdict, numeric, facts), sha256 in zip(
            found, emails.hashes(passed.inputs), strict=True
        )
    ]


def _rendered(
    shown: Mapping[str, TensorRead], answered: Answered, address: Address
) -> tuple[bytes, int | None]:
    outputs, tail = [], []
    for tensor in shown.values():
        described: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": tensor.shape,
        }
        if tensor.raw is None:
            described["data"] = tensor.data
        else:
            described["parameters"] = {"binary_data_size": len(tensor.raw)}
            tail.append(tensor.raw)
        outputs.append(described)
    head: dict[str, Any] = {"model_name": address.model, "model_version": answered.version}
    if answered.id is not None:
        head["id"] = answered.id
    rendered = orjson.dumps(head | {"outputs": outputs})
    return (b"".join([rendered, *tail]), len(rendered)) if tail else (rendered, None)
