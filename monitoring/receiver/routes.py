"""The two hooks as routes; each message is counted by what became of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts import monitoring as paths
from kit.errors import CallerError, OperationalError, SluiceError
from monitoring.errors import BodyTooLarge, HookClosed, HookStale, HookUnsigned
from monitoring.parts import Parts
from monitoring.receiver import alertmanager_hook, drift_hook

_OUTCOMES: Final[Mapping[type[SluiceError], str]] = MappingProxyType(
    {
        HookUnsigned: "unsigned",
        HookClosed: "unsigned",
        HookStale: "stale",
        BodyTooLarge: "too_large",
        OperationalError: "failed",
        CallerError: "malformed",
    }
)
"""The first that fits."""


def routes(parts: Parts) -> list[Route]:
    """Returns the routes of the receiver; what they raise is answered by the layers around them."""

    async def drift(request: Request) -> Response:
        try:
            answer, new = await drift_hook.received(parts, request)
        except SluiceError as error:
            _count(parts, "drift", _outcome(error))
            raise
        _count(parts, "drift", "accepted" if new else "repeated")
        return answer

    async def alertmanager(request: Request) -> Response:
        try:
            answer = await alertmanager_hook.received(parts, request)
        except SluiceError as error:
            _count(parts, "alertmanager", _outcome(error))
            raise
        _count(parts, "alertmanager", "accepted")
        return answer

    return [
        Route(paths.HOOK_DRIFT, drift, methods=["POST"]),
        Route(paths.HOOK_ALERTMANAGER, alertmanager, methods=["POST"]),
    ]


def _outcome(error: SluiceError) -> str:
    return next((word for kind, word in _OUTCOMES.items() if isinstance(error, kind)), "failed")


def _count(parts: Parts, hook: str, outcome: str) -> None:
    parts.measures.hooks.labels(hook, outcome).inc()
