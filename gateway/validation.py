"""What is wrong with a document, field by field, and never a value."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from pydantic import ValidationError

from gateway.errors import RequestInvalid, ValidationFailed

_MAX_FAULTS: Final = 20
_MAX_NAME: Final = 64


def json_of(body: bytes) -> Any:
    """Returns the value in `body`.

    Raises:
        RequestInvalid: it is not JSON.
    """
    if not body:
        raise RequestInvalid("The body is empty.", next_step="Send a JSON object.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        # The words of the parser hold no text of the body.
        raise RequestInvalid(f"The body is not JSON: {exc.msg} (character {exc.pos}).") from None


def object_of(body: bytes, what: str) -> dict[str, Any]:
    """Returns the JSON object in `body`, which stands for `what`.

    Raises:
        RequestInvalid: it is not JSON.
        ValidationFailed: it is JSON, and no object.
    """
    value = json_of(body)
    if not isinstance(value, dict):
        raise failed([fault(what, "must be a JSON object")])
    return value


def fault(field: str, reason: str) -> dict[str, str]:
    """Returns what is wrong with one field."""
    return {"field": field, "reason": reason}


def failed(faults: Sequence[dict[str, str]]) -> ValidationFailed:
    """Returns the error that `faults` are."""
    named = ", ".join(dict.fromkeys(item["field"] for item in faults))
    more = f", and {len(faults) - _MAX_FAULTS} more" if len(faults) > _MAX_FAULTS else ""
    return ValidationFailed(
        f"Wrong or missing: {named if not more else f'{_MAX_FAULTS} fields'}{more}.",
        faults=list(faults[:_MAX_FAULTS]),
        next_step="See `errors` for the reason of each field.",
    )


def faults_of(error: ValidationError, what: str) -> list[dict[str, str]]:
    """Returns pydantic's complaints; `what` is the name of the whole document."""
    return [
        fault(_field(item["loc"], what), _reason(item["msg"]))
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _field(place: Sequence[str | int], what: str) -> str:
    """Returns the place of a fault: below its first name only numbers, as names there are the caller's."""
    steps = [shown(str(place[0]))] if place else [what]
    steps += [str(step) for step in place[1:] if isinstance(step, int)]
    return ".".join(steps)


def shown(name: str) -> str:
    """Returns a name that a caller made up, as it may be repeated: short, and in one line."""
    printable = "".join(char if char.isprintable() else "?" for char in name[:_MAX_NAME])
    return f"{printable}…" if len(name) > _MAX_NAME else printable


def _reason(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
