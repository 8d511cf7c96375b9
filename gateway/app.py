"""The gateway as an ASGI application: routes of FastAPI inside layers of plain ASGI.

FastAPI finds the route and writes the OpenAPI document. Its own stack of middleware is left out: errors are
told in one place, `gateway.layers.problems`, and what it would do besides costs time and is not needed here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.access.access import Access
from gateway.access.turns import Turns
from gateway.access_log import AccessLog
from gateway.backends.backend import Backend
from gateway.bodies import Bodies
from gateway.documentation.document import described
from gateway.entry import Entry
from gateway.http import App, Receive, Scope, Send
from gateway.layers.answers import AnswerHeads
from gateway.layers.cors import Cors
from gateway.layers.heads import Heads
from gateway.layers.https import HttpsOnly
from gateway.layers.identity import Identity
from gateway.layers.observation import Observation
from gateway.layers.problems import Problems
from gateway.measures import Measures
from gateway.memory.memory import Memory
from gateway.parts import Parts
from gateway.remembering import Remembering
from gateway.routes import all_routes
from gateway.settings import GatewaySettings
from gateway.shadow import Shadow
from gateway.stopping import Stopping
from kit.errors import Bug, SluiceError

_STARTED: Final = "lifespan.startup.complete"
_NOT_STARTED: Final = "lifespan.startup.failed"
_ENDED: Final = "lifespan.shutdown.complete"


class Gateway:
    """The application; an ASGI server calls it, and its beginning and end are those of the parts."""

    def __init__(self, parts: Parts, log: AccessLog) -> None:
        self.parts = parts
        self._log = log
        self.stopping = Stopping()
        self.api = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
        self.api.router.routes.extend(all_routes(parts, self.stopping, self.document))
        self._document: dict[str, object] | None = None
        self._opened = AsyncExitStack()
        self._last: list[Callable[[], Awaitable[None]]] = []
        self._app = self._layered()

    def at_end(self, close: Callable[[], Awaitable[None]]) -> None:
        """Has something closed after all the parts."""
        self._last.append(close)

    def document(self) -> dict[str, object]:
        """Returns the OpenAPI document."""
        if self._document is None:
            self._document = described(self.api)
        return self._document

    async def start(self) -> None:
        """Opens the parts, in the order in which they need each other; called once, before any request."""
        parts = self.parts
        async with AsyncExitStack() as opened:
            for close in self._last:
                opened.push_async_callback(close)
            steps: tuple[tuple[Callable[[], Awaitable[None]] | None, Callable[[], Awaitable[None]]], ...] = (
                (parts.access.start, parts.access.close),
                (parts.memory.start, parts.memory.close),
                (parts.backend.start, parts.backend.close),
                (None, parts.shadow.close),
            )
            for start, close in steps:
                if start is not None:
                    await start()
                opened.push_async_callback(close)
            self._opened = opened.pop_all()

    async def close(self) -> None:
        """Closes them, the last one first: what is to be remembered is written before this ends."""
        await self._opened.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or the server's beginning and end."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._app(scope, receive, send)
        else:
            raise Bug(f"The gateway speaks HTTP, and not {scope['type']}.")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except SluiceError as exc:
            await send({"type": _NOT_STARTED, "message": f"{exc.message} {exc.next_step or ''}".rstrip()})
            return
        await send({"type": _STARTED})
        await receive()
        await self.close()
        await send({"type": _ENDED})

    def _layered(self) -> App:
        settings = self.parts.settings
        app: App = self._routed
        if settings.https_only:
            app = HttpsOnly(app)
        app = Problems(app, lambda: self.stopping.giving_up)
        if settings.cors_origins:
            # Around it: a page may read what was wrong. What CORS itself refuses is told by another one.
            app = Problems(Cors(app, settings.cors_origins), lambda: self.stopping.giving_up)
        app = AnswerHeads(app)
        app = Observation(app, self.parts.measures, self._log)
        if settings.otlp_endpoint is not None:
            app = self._traced(app, settings.otlp_endpoint)
        app = Identity(app)
        if settings.trusted_proxies:
            app = ProxyHeadersMiddleware(app, list(settings.trusted_proxies))  # type: ignore[arg-type,assignment]
        return Heads(app)

    def _traced(self, app: App, endpoint: str) -> App:
        from gateway.layers.traced import Traced
        from gateway.tracing import Tracing

        tracing = Tracing(endpoint, self.parts.settings.trace_share)
        self.at_end(lambda: asyncio.to_thread(tracing.close))
        return Traced(app, tracing)

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self.api  # so that a path that is not found is raised, and not answered as text
        await self.api.router(scope, receive, send)


def application(  # noqa: PLR0913 - each is a part
    settings: GatewaySettings,
    *,
    backend: Backend,
    access: Access,
    turns: Turns,
    memory: Memory,
    measures: Measures,
    shadow: Shadow,
    log: AccessLog | None = None,
) -> Gateway:
    """Returns the gateway, put together; nothing is opened before the server begins it.

    `log` is told each request; by default where all logs go.
    """
    return Gateway(
        Parts(
            settings=settings,
            backend=backend,
            access=access,
            turns=turns,
            memory=memory,
            measures=measures,
            shadow=shadow,
            entry=Entry(settings, access, turns),
            bodies=Bodies(settings),
            remembering=Remembering(memory, measures),
        ),
        log or AccessLog(),
    )
