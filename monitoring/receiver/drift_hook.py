"""`POST /hooks/drift`: a signed event of a Sluice, which may start a training run."""

import re
from datetime import UTC, datetime
from typing import Final

import structlog
from pydantic import ValidationError
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse

from kit.errors import SluiceError
from monitoring.alerts.event import AlertEvent
from monitoring.durations import duration
from monitoring.errors import HookMalformed
from monitoring.parts import Parts
from monitoring.receiver.bodies import body_of
from monitoring.receiver.signature import verified
from monitoring.retraining import loop

BODY_BYTES: Final = 200 << 10
"""Events have some kilobytes; a column of the records holds 256."""
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_CUT: Final = 300

log: Final = structlog.get_logger(__name__)


async def received(parts: Parts, request: Request) -> tuple[JSONResponse, bool]:
    """Returns the answer, and whether the message is new; what is to be done is written before.

    Raises as `body_of` and `verified` do, and:
        HookMalformed: it is signed, and no event.
        RecordsUnavailable: nothing was written; the sender may try again.
    """
    body = await body_of(request, most=BODY_BYTES)
    settings, now = parts.settings, datetime.now(UTC)
    message = verified(
        request.headers, body, settings.hook_secrets, tolerance=duration(settings.hook_tolerance), now=now
    )
    decision, new = await loop.consider(parts, event_in(body), message=message, now=now)
    answer = JSONResponse(
        {"message": message, "repeated": not new, **decision.model_dump(mode="json")},
        status_code=202,
        background=None if settings.retraining == "off" else BackgroundTask(_go_on, parts),
    )
    return answer, new


async def _go_on(parts: Parts) -> None:
    """Begins what is announced, after the answer; were this process killed now, the next one would do it."""
    try:
        await loop.follow(parts)
    except SluiceError as error:
        log.warning("retraining_waits", code=error.code, reason=error.message)


def event_in(body: bytes) -> AlertEvent:
    """Returns the event that `body` is, strictly: no other field, no other type, no time without a zone.

    Raises:
        HookMalformed: it is none.
    """
    try:
        event = AlertEvent.model_validate_json(body, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(step) for step in first["loc"])[:_CUT]
        where = f"{path}: " if path else ""
        raise HookMalformed(
            f"The message is no event of Sluice: {where}{first['msg'][:_CUT]}.",
            next_step="docs/webhooks.md has every field.",
        ) from exc
    if not _MODEL.fullmatch(event.model):
        raise HookMalformed("The model of the event has no name that a model can have.")
    if event.at.utcoffset() is None or event.opened_at.utcoffset() is None:
        raise HookMalformed("A time of the event has no time zone.")
    return event
