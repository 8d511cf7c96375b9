"""HEAD is answered as GET is, without the body."""

from collections.abc import MutableMapping
from typing import Any

from gateway.http import App, Receive, Scope, Send


class Heads:
    """Asks the next layer by GET, and keeps the body of its answer back."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def bodiless(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # A copy: the server looks at its own to tell whether a body may follow.
        await self._app({**scope, "method": "GET"}, receive, bodiless)
