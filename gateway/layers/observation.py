"""One line of log and two metrics for each request, whatever became of it."""

import time
from collections.abc import MutableMapping
from typing import Any, Final

from gateway.access_log import AccessLog
from gateway.http import App, Receive, Scope, Send
from gateway.layers.problems import CLIENT_LEFT
from gateway.measures import Measures
from gateway.passage import passage_of

_CLIENT_CLOSED: Final = 499
"""The status of a request whose client left; there is no standard one."""
_UNKNOWN: Final = ""
_QUIET: Final = frozenset({"/health", "/health/live", "/health/ready", "/ready", "/metrics"})
"""Asked by machines every few seconds: their success is no news."""
_OK: Final = 200


class Observation:
    """Times, counts and logs."""

    def __init__(self, app: App, measures: Measures, log: AccessLog) -> None:
        self._app = app
        self._measures = measures
        self._log = log
        # Looking a child up by its labels costs more than counting.
        self._counters: dict[tuple[str, str, str, int], Any] = {}
        self._timers: dict[tuple[str, str], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and notes what became of it."""
        passage = passage_of(scope)
        status = _CLIENT_CLOSED

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if passage.code == CLIENT_LEFT:
                status = _CLIENT_CLOSED
            seconds = time.perf_counter() - passage.begun
            route = getattr(scope.get("route"), "path", _UNKNOWN)
            environment = passage.environment.value if passage.environment is not None else _UNKNOWN
            self._count(route, environment, passage.version or _UNKNOWN, status, seconds)
            if status != _OK or route not in _QUIET:
                self._log.told(passage, scope["method"], route, status, seconds)

    def _count(self, route: str, environment: str, version: str, status: int, seconds: float) -> None:
        counted = (route, environment, version, status)
        counter = self._counters.get(counted)
        if counter is None:
            counter = self._counters[counted] = self._measures.requests.labels(
                route, environment, version, str(status)
            )
        counter.inc()
        timed = (route, environment)
        timer = self._timers.get(timed)
        if timer is None:
            timer = self._timers[timed] = self._measures.request_seconds.labels(*timed)
        timer.observe(seconds)
