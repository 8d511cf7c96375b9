"""HTTPS only, where settings ask for it; the proxy that ends TLS tells which way a request came."""

from typing import Final

from contracts import gateway as paths
from gateway.errors import HttpsRequired
from gateway.http import App, Receive, Scope, Send

_PROBES: Final = frozenset({paths.LIVE, paths.READY, "/health", "/ready"})
"""Asked by the machine itself, past the proxy."""


class HttpsOnly:
    """Refuses plain HTTP."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on.

        Raises:
            HttpsRequired: it came without TLS.
        """
        if scope["scheme"] != "https" and scope["path"] not in _PROBES:
            raise HttpsRequired("The request came over plain HTTP.", next_step="Ask by https://.")
        await self._app(scope, receive, send)
