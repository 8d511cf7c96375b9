"""Errors of a server, told in our own words.

Of what Triton says only the status is believed: its sentences may hold what a caller sent. A transformer is
of this house; what it says of a request that is wrong is safe, and goes on.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import orjson

from gateway.errors import (
    BodyTooLarge,
    ModelUnknown,
    Overloaded,
    RequestInvalid,
    UpstreamDown,
    UpstreamFailed,
    UpstreamLate,
    UpstreamNotReady,
    ValidationFailed,
)
from gateway.upstream.addresses import Address
from gateway.upstream.client import Reply
from kit.errors import CallerError, SluiceError

_MAX_DETAIL: Final = 500
_ABSENT: Final = HTTPStatus.NOT_FOUND
_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})

_TOO_LARGE: Final = "The model server takes no body as large as this one."
_WRONG: Final = "The model server did not accept the request."
_CALLERS: Final[dict[str, tuple[type[CallerError], str]]] = {
    "invalid_request": (RequestInvalid, _WRONG),
    "email_refused": (ValidationFailed, "The model server cannot read the e-mail."),
    "not_explainable": (ValidationFailed, "The model's answers cannot be explained."),
    "body_too_large": (BodyTooLarge, _TOO_LARGE),
}
"""Problems of a transformer that the caller can mend; its own sentence is told."""


def refusal(reply: Reply, address: Address, version: str | None = None) -> SluiceError:
    """Returns the error that stands for a reply which is no answer; `version` is the one that was named."""
    if address.transformer:
        return _of_transformer(reply, address, version)
    return _of_triton(reply.status, address, version)


def failed(address: Address, what: str) -> UpstreamFailed:
    """Returns the error of a server that did not do as it should; `what` goes on after its name."""
    return UpstreamFailed(f"The server of {address.model} in {address.environment} failed: {what}.")


def unknown_version(address: Address) -> ModelUnknown:
    """Returns the error of a version that does not answer."""
    return ModelUnknown(
        f"This version of {address.model} is not served in {address.environment}.",
        next_step="Leave the version out of the path; GET /v1/models tells which one answers.",
    )


def _of_triton(status: int, address: Address, version: str | None) -> SluiceError:
    if status == _ABSENT:
        # Its route says that it is served: a server that was just started loads it.
        return _not_ready(address) if version in {None, address.version} else unknown_version(address)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return BodyTooLarge(_TOO_LARGE)
    if status in _REFUSED:
        return RequestInvalid(
            _WRONG,
            next_step=f"GET /v2/models/{address.model} tells what it takes; or send fewer rows at once.",
        )
    return _not_ready(address) if status in _BUSY else failed(address, f"it answered with status {status}")


def _of_transformer(reply: Reply, address: Address, version: str | None) -> SluiceError:
    try:
        problem = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        problem = None
    code = problem.get("code") if isinstance(problem, dict) else None
    if not isinstance(code, str):
        return failed(address, f"it answered with status {reply.status}")
    if code in _CALLERS:
        kind, otherwise = _CALLERS[code]
        return kind(_detail(problem) or otherwise)
    if code == "unknown_model" and version is not None:
        return unknown_version(address)
    made = _OWN.get(code)
    return made(address) if made is not None else failed(address, f"it answered with status {reply.status}")


def _detail(problem: Any) -> str | None:
    detail = problem.get("detail")
    safe = isinstance(detail, str) and len(detail) <= _MAX_DETAIL and detail.isprintable()
    return detail if safe else None


def _not_ready(address: Address) -> UpstreamNotReady:
    return UpstreamNotReady(
        f"The server of {address.model} in {address.environment} is not ready.",
        next_step="Try again shortly.",
    )


def _down(address: Address) -> UpstreamDown:
    return UpstreamDown(
        f"The model server in {address.environment} does not answer.", next_step="Try again shortly."
    )


def _late(address: Address) -> UpstreamLate:
    return UpstreamLate(f"No server in {address.environment} answered within the time given.")


def _overloaded(address: Address) -> Overloaded:
    return Overloaded(f"The server of {address.model} in {address.environment} has too much to do.")


_OWN: Final[dict[str, Callable[[Address], SluiceError]]] = {
    "overloaded": _overloaded,
    "predictor_down": _down,
    "not_ready": _not_ready,
    "deadline_passed": _late,
    "body_late": _late,
}
