"""A span for each request, where traces go somewhere; without that this layer is not there."""

from collections.abc import MutableMapping
from typing import Any

from contracts.headers import TRACEPARENT
from gateway.http import App, Receive, Scope, Send
from gateway.passage import passage_of
from gateway.tracing import Tracing


class Traced:
    """Begins a request's span, and ends it."""

    def __init__(self, app: App, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        passage = passage_of(scope)
        status = 0

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        span = self._tracing.begun(passage, scope["method"], passage.headers.get(TRACEPARENT))
        try:
            await self._app(scope, receive, watched)
        finally:
            self._tracing.ended(span, passage, scope, status)
