"""Every error becomes a problem document here: our own, the framework's, and what nobody foresaw."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import structlog
from starlette.exceptions import HTTPException

from gateway.errors import MethodRefused, PathUnknown, RequestInvalid, ShuttingDown
from gateway.http import App, ClientLeft, Receive, Scope, Send, problem_of
from gateway.passage import passage_of
from kit.errors import Bug, OperationalError, SluiceError

log = structlog.get_logger(__name__)

CLIENT_LEFT: Final = "client_left"
_PROTOCOL: Final = "/v2"
_NOT_FOUND: Final = 404
_METHOD_NOT_ALLOWED: Final = 405


class Problems:
    """Answers requests that end with an error; `stopping` tells whether the server gives up its work."""

    def __init__(self, app: App, stopping: Callable[[], bool]) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; whatever is raised is answered."""
        begun = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        passage = passage_of(scope)
        try:
            await self._app(scope, receive, watched)
        except ClientLeft:
            passage.code = CLIENT_LEFT
        except asyncio.CancelledError:
            if begun or not self._stopping():
                raise
            error: SluiceError = ShuttingDown("The gateway stopped before there was an answer.")
            passage.code = error.code
            await problem_of(error, passage, protocol=_is_protocol(scope))(scope, receive, send)
        except Exception as exc:
            error = _known(exc)
            passage.code = error.code
            _told(error, exc)
            if begun:
                raise
            await problem_of(error, passage, protocol=_is_protocol(scope))(scope, receive, send)


def _known(exc: Exception) -> SluiceError:
    if isinstance(exc, SluiceError):
        return exc
    if isinstance(exc, HTTPException):
        if exc.status_code == _NOT_FOUND:
            return PathUnknown("There is no such path here.", next_step="See /docs for those there are.")
        if exc.status_code == _METHOD_NOT_ALLOWED:
            return MethodRefused(
                "This path is asked in another way.",
                allowed=(allowed := _allowed((exc.headers or {}).get("Allow", ""))),
                next_step=f"Use {allowed}.",
            )
        return RequestInvalid("The request makes no sense to the gateway.")
    return Bug(f"Not foreseen: {type(exc).__name__}.")


def _allowed(methods: str) -> str:
    names = {name.strip() for name in methods.split(",") if name.strip()}
    return ", ".join(sorted(names | ({"HEAD"} if "GET" in names else set())))


def _told(error: SluiceError, cause: Exception) -> None:
    """Logs what the access log does not tell: why a neighbour failed, and the stack of a bug."""
    if isinstance(error, OperationalError):
        log.warning("request_failed", code=error.code, reason=error.message)
    elif error.status == SluiceError.status:
        log.error("request_broken", exc_info=cause)


def _is_protocol(scope: Scope) -> bool:
    path = scope["path"]
    return bool(path == _PROTOCOL or path.startswith(f"{_PROTOCOL}/"))
