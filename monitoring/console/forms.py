"""What a form of the console sends: small, from our own page, with the token of the session it stands in."""

import secrets
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from monitoring.console.people import Person
from monitoring.errors import FormInvalid, FormRefused

TOKEN: Final = "token"  # noqa: S105 - the name of the field
_TYPE: Final = "application/x-www-form-urlencoded"
_MOST_BYTES: Final = 32 << 10
_MOST_FIELDS: Final = 20
_ELSEWHERE: Final = ("cross-site", "same-site")


async def fields(request: Request) -> dict[str, str]:
    """Returns the fields of the form that was sent.

    Raises:
        FormRefused: a page of another place sent it.
        FormInvalid: it is no form, too large, or says a thing twice.
    """
    if request.headers.get("sec-fetch-site") in _ELSEWHERE:
        raise FormRefused(
            "This form came from a page of another address.", next_step="Use the console's own."
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise FormInvalid("This is no form.", next_step=f"Send {_TYPE}, as a browser does.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise FormInvalid("This form is too large.", next_step="Write less.")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as exc:
        raise FormInvalid("This form cannot be read.", next_step="Load the page anew.") from exc
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormInvalid("This form says one thing twice.", next_step="Load the page anew.")
    return found


async def signed_fields(request: Request, person: Person) -> dict[str, str]:
    """Returns the fields of a form that stood in a page of this session; raises as `fields` does."""
    found = await fields(request)
    if not secrets.compare_digest(found.pop(TOKEN, "").encode(), person.token.encode()):
        raise FormRefused(
            "This form is of another session, or of none.",
            next_step="Load the page anew, then send it again.",
        )
    return found
