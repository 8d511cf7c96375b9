"""The monitoring process as an ASGI application: console, receiver, health and metrics."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from contracts import metrics as contract
from contracts import monitoring as paths
from kit.errors import SluiceError
from monitoring.console import routes as console
from monitoring.errors import ShuttingDown
from monitoring.layers import Receive, Scope, Send, layered
from monitoring.parts import Parts
from monitoring.receiver import routes as receiver
from monitoring.standing import Stand, Standing

log: Final = structlog.get_logger(__name__)


class Monitoring:
    """The application; the server's lifespan calls `start` and `close`, before and after all requests."""

    def __init__(
        self, parts: Parts, start: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]
    ) -> None:
        self.parts = parts
        self.stopping = False
        """Set when the process is told to end: readiness says no."""
        self._start = start
        self._close = close
        self._stand = Stand(parts.records)
        self._pages = Starlette(routes=self._routes())
        self._layered = layered(self._routed)
        self._told = _Told()
        parts.measures.registry.register(self._told)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or the server's beginning and end."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._layered(scope, receive, send)

    async def live(self, _request: Request) -> Response:
        """Tells that the process runs; it asks nobody."""
        return JSONResponse({"status": "live"})

    async def ready(self, _request: Request) -> Response:
        """Tells that the records answer: without them there is no page and no alert.

        Raises:
            ShuttingDown: the process was told to stop.
            RecordsUnavailable, SchemaBehind: the records do not answer.
        """
        if self.stopping:
            raise ShuttingDown("The process was told to stop.")
        trouble = (await self._stand.now()).trouble
        if trouble is not None:
            raise trouble
        return JSONResponse({"status": "ready"})

    async def metrics(self, _request: Request) -> Response:
        """Tells what is counted here and what stands in the records, as Prometheus reads it."""
        self._told.standing = await self._stand.now()
        return Response(generate_latest(self.parts.measures.registry), media_type=CONTENT_TYPE_LATEST)

    def _routes(self) -> list[BaseRoute]:
        async def home(_request: Request) -> Response:
            return RedirectResponse(paths.CONSOLE)

        return [
            Route("/", home),
            Route(paths.LIVE, self.live),
            Route(paths.READY, self.ready),
            Route(paths.METRICS, self.metrics),
            *receiver.routes(self.parts),
            *console.routes(self.parts),
        ]

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._pages  # so that a path that is not found is raised, and not answered as text
        await self._pages.router(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._start()
        except SluiceError as error:
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._close()
        await send({"type": "lifespan.shutdown.complete"})


class _Told(Collector):
    """What was last read of the records, as metrics: labels that are gone are gone here too."""

    def __init__(self) -> None:
        self.standing: Standing | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yields it."""
        if self.standing is None:
            return
        up = contract.RECORDS_UP
        yield GaugeMetricFamily(up.name, up.sentence, 0 if self.standing.trouble else 1)
        families: dict[str, GaugeMetricFamily] = {}
        for metric, labels, value in self.standing.values:
            family = families.get(metric.name)
            if family is None:
                family = families[metric.name] = GaugeMetricFamily(
                    metric.name, metric.sentence, labels=metric.labels
                )
            family.add_metric(labels, value)
        yield from families.values()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Yields nothing: what there will be is read when it is asked for."""
        return ()
