"""Headers and parameters that requests may have, and headers that answers have."""

from typing import Any, Final

from contracts import headers as names
from contracts.environments import DEFAULT, Environment
from contracts.environments import HEADER as ENVIRONMENT_HEADER

_STRING: Final = {"type": "string"}


def _parameter(
    name: str, place: str, schema: dict[str, Any], sentence: str, *, required: bool = False
) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema, "description": sentence}


PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "environment": _parameter(
        ENVIRONMENT_HEADER,
        "header",
        {"type": "string", "enum": [environment.value for environment in Environment]},
        f"Where the request is to go. Without it, where the gateway is set to; as delivered, {DEFAULT}.",
    ),
    "request": _parameter(
        names.REQUEST_ID,
        "header",
        _STRING,
        "Your own name for the request: 1 to 100 letters, digits and `._:-`. Another one is replaced.",
    ),
    "timeout": _parameter(
        names.TIMEOUT_MS,
        "header",
        {"type": "integer", "minimum": 1, "maximum": 999_999_999_999_999},
        "How many milliseconds you will wait.",
    ),
    "traceparent": _parameter(names.TRACEPARENT, "header", _STRING, "W3C Trace Context; passed on."),
    "explain": _parameter("explain", "query", {"type": "boolean"}, "Whether to say what decided."),
    "request_id": _parameter(
        "request_id", "path", {"type": "string", "minLength": 1}, "Of the answer.", required=True
    ),
    "model": _parameter(
        "model",
        "path",
        {"type": "string", "pattern": r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$"},
        "Its name.",
        required=True,
    ),
    "version": _parameter(
        "version",
        "path",
        {"type": "string", "pattern": r"^[1-9][0-9]{0,17}$"},
        "Its number in the registry.",
        required=True,
    ),
}

ANSWER_HEADERS: Final[dict[str, dict[str, Any]]] = {
    names.REQUEST_ID: {
        "schema": _STRING,
        "description": "The name of the request: yours, or one that was made.",
    },
    ENVIRONMENT_HEADER: {"schema": _STRING, "description": "Where the request went."},
    names.MODEL_VERSION: {"schema": _STRING, "description": "The version that answered."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to try again."},
    "Allow": {"schema": _STRING, "description": "The methods of this path."},
    "RateLimit": {"schema": _STRING, "description": "What the key may still send, and when that is renewed."},
    "RateLimit-Policy": {"schema": _STRING, "description": "What the key may send, and in how long."},
}
