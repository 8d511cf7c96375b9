"""What every request of the monitoring process passes through: plain ASGI, the outermost first.

Identity and log, heads of answers, problems, the bounds of bodies; then the routes.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from uuid import uuid4

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from contracts import headers as names
from contracts import monitoring as paths
from kit.errors import Bug, OperationalError, SluiceError, problem
from monitoring.errors import BodyLate, BodyTooLarge, MethodRefused, PathUnknown, RequestInvalid

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID: Final = "sluice.request_id"
"""Where the scope holds the id of its request."""
BODY_BYTES: Final = 2 << 20
"""Alertmanager's largest groups are some hundred kilobytes."""
BODY_SECONDS: Final = 20.0

_GIVEN_ID: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_ID_HEADER: Final = names.REQUEST_ID.lower().encode()
_QUIET: Final = frozenset({paths.LIVE, paths.READY, paths.METRICS})
"""Asked by machines every few seconds: their success is no news."""
_OK: Final = 200
_CLIENT_CLOSED: Final = 499
_NOT_FOUND: Final = 404
_METHOD_NOT_ALLOWED: Final = 405
_PATH_LOGGED: Final = 200
_POLICY: Final = b"content-security-policy"
_SAFETY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (_POLICY, b"default-src 'none'; frame-ancestors 'none'"),
)
_HTTPS: Final = (b"strict-transport-security", b"max-age=31536000")

log: Final = structlog.get_logger(__name__)


def layered(app: App) -> App:
    """Returns `app` with all of them around it."""
    return Observed(SafeHeads(Problems(Bounded(app))))


class Observed:
    """Gives each request an id, and writes one line of what became of it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        given = next((value for name, value in scope["headers"] if name == _ID_HEADER), b"")
        request_id = given.decode() if _GIVEN_ID.fullmatch(given) else uuid4().hex
        scope[REQUEST_ID] = request_id
        status, begun = _CLIENT_CLOSED, time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_ID_HEADER, request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if status != _OK or scope["path"] not in _QUIET:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"][:_PATH_LOGGED],
                    status=status,
                    ms=round((time.perf_counter() - begun) * 1000, 3),
                    address=(scope.get("client") or ("",))[0],
                    request_id=request_id,
                )


class SafeHeads:
    """Tells browsers to be careful; what a page says itself (its content policy, its caching) stays."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and its answer back with a fuller head."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                head = list(message.get("headers", ()))
                said = {name.lower() for name, _ in head}
                head += [(name, value) for name, value in _SAFETY if name not in said]
                if scope["scheme"] == "https":
                    head.append(_HTTPS)
                message["headers"] = head
            await send(message)

        await self._app(scope, receive, told)


class Problems:
    """Answers requests that end with an error: ours, the framework's, and what nobody foresaw."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; whatever is raised is answered."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as exc:
            error = _known(exc)
            if isinstance(error, OperationalError):
                log.warning("request_failed", code=error.code, reason=error.message)
            elif error.status == SluiceError.status:
                log.exception("request_broken")
            if begun:
                raise
            await told(scope, send, error)


async def told(scope: Scope, send: Send, error: SluiceError) -> None:
    """Sends `error` as a problem document."""
    body = orjson.dumps(problem(error, request_id=scope.get(REQUEST_ID)))
    further = getattr(error, "headers", {})
    head = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
    head += [(name.lower().encode(), value.encode("latin-1")) for name, value in further.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": head})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _known(exc: Exception) -> SluiceError:
    if isinstance(exc, SluiceError):
        return exc
    if isinstance(exc, HTTPException):
        if exc.status_code == _NOT_FOUND:
            return PathUnknown("There is no such path here.", next_step=f"See {paths.CONSOLE}.")
        if exc.status_code == _METHOD_NOT_ALLOWED:
            allowed = (exc.headers or {}).get("Allow", "")
            return MethodRefused(
                "This path is asked in another way.", allowed=allowed, next_step=f"Use {allowed}."
            )
        if exc.status_code < SluiceError.status:
            return RequestInvalid("The request makes no sense here.")
    return Bug(f"Not foreseen: {type(exc).__name__}.")


class Bounded:
    """Ends the reading of a body that is too long, or too long on its way."""

    def __init__(self, app: App, *, most_bytes: int = BODY_BYTES, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._most = most_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on.

        Raises:
            BodyTooLarge: told by its length, or noticed while it comes.
            BodyLate: it is not whole in time.
        """
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if len(length) > len(str(self._most)) or int(length) > self._most:
            raise self._too_large()
        until = asyncio.get_running_loop().time() + self._seconds
        size, whole = 0, False

        async def bounded() -> Message:
            nonlocal size, whole
            if whole:  # What comes now is the end of the connection, and may take its time.
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise BodyLate(f"The body was not whole after {self._seconds:g} s.") from None
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > self._most:
                raise self._too_large()
            return message

        await self._app(scope, bounded, send)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"A body has at most {self._most} bytes here.")
