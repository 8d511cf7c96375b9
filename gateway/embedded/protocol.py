"""The Open Inference Protocol V2 where no server is behind the gateway: what is described, as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from contracts.tensors import (
    TRANSFORMER_EXTRA_OUTPUTS,
    TRANSFORMER_INPUTS,
    TRANSFORMER_OUTPUTS,
    Tensor,
)
from gateway.backends.backend import Answer
from gateway.errors import MethodRefused, PathUnknown

NAME: Final = "sluice-gateway"
_JSON: Final = "application/json"
_OCTETS: Final = "application/octet-stream"


def named(path: Sequence[str]) -> tuple[str, str | None, str]:
    """Returns the model, the version if there is one, and the page that a path below /v2 names.

    The page is empty for the description of a model.

    Raises:
        PathUnknown: it names no model, or a page that is not here.
    """
    match path:
        case ["models", model, "versions", version, ("ready" | "infer") as page]:
            return model, version, page
        case ["models", model, "versions", version]:
            return model, version, ""
        case ["models", model, ("ready" | "infer") as page]:
            return model, None, page
        case ["models", model]:
            return model, None, ""
        case _:
            raise PathUnknown(
                "There is no such path in the Open Inference Protocol here.",
                next_step="Infer at /v2/models/MODEL/infer.",
            )


def only(method: str, allowed: str) -> None:
    """Returns if a path is asked as it may be.

    Raises:
        MethodRefused: it is not.
    """
    if method != allowed:
        raise MethodRefused(f"This path is asked with {allowed}.", allowed=allowed)


def document(told: Mapping[str, Any], version: str | None = None) -> Answer:
    """Returns an answer of JSON."""
    return Answer(orjson.dumps(told), _JSON, version)


def server() -> Answer:
    """Returns what is told of the server."""
    return document({"name": NAME, "version": "2", "extensions": ["binary_tensor_data"]})


def model(name: str, version: str) -> Answer:
    """Returns what is told of a model that takes e-mails: the same that a transformer tells."""
    outputs = (*TRANSFORMER_OUTPUTS, *TRANSFORMER_EXTRA_OUTPUTS)
    told = {
        "name": name,
        "versions": [version],
        "platform": NAME,
        "inputs": [_described(tensor) for tensor in TRANSFORMER_INPUTS],
        "outputs": [_described(tensor) for tensor in outputs],
    }
    return document(told, version)


def content_type(json_length: int | None) -> str:
    """Returns the kind of an answer's body: JSON, or JSON with tensors behind it."""
    return _JSON if json_length is None else _OCTETS


def _described(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": [-1, *tensor.shape]}
