"""Whether the process runs, and whether requests would be answered: without a key, and without a secret."""

from starlette.requests import Request

from contracts import gateway as paths
from gateway.errors import NotReady, ShuttingDown
from gateway.http import Document, document
from gateway.parts import Parts
from gateway.passage import Passage
from gateway.routes.lean import LeanRoute
from gateway.stopping import Stopping


class Health:
    """Answers probes."""

    def __init__(self, parts: Parts, stopping: Stopping) -> None:
        self._parts = parts
        self._stopping = stopping

    def routes(self) -> list[LeanRoute]:
        """Returns the routes: two, and the names under which others look for them."""
        return [
            LeanRoute(paths.LIVE, self.live, methods=["GET"]),
            LeanRoute(paths.READY, self.ready, methods=["GET"]),
            LeanRoute("/health", self.live, methods=["GET"], include_in_schema=False),
            LeanRoute("/ready", self.ready, methods=["GET"], include_in_schema=False),
        ]

    async def live(self, _request: Request, _passage: Passage) -> Document:
        """Tells that the process runs; it asks nobody."""
        return document({"status": "live"})

    async def ready(self, _request: Request, _passage: Passage) -> Document:
        """Tells which environments answer, as last seen; one that does not takes no other along.

        Raises:
            ShuttingDown: the gateway was told to stop.
            NotReady: no environment answers.
        """
        if self._stopping.told:
            raise ShuttingDown("The gateway was told to stop.", next_step="Ask another one.")
        seen = {
            environment: self._parts.backend.readiness(environment)
            for environment in self._parts.settings.environments
        }
        environments = {environment.value: readiness.ready for environment, readiness in seen.items()}
        degraded = [
            readiness.reason or f"{environment} does not answer."
            for environment, readiness in seen.items()
            if not readiness.ready
        ]
        if not any(environments.values()):
            raise NotReady(
                " ".join(degraded),
                environments=environments,
                next_step="See what answers there, and whether a model version was promoted to it.",
            )
        memory = self._parts.memory.state()
        if memory.reason is not None:
            degraded.append(memory.reason)
        return document(
            {
                "status": "degraded" if degraded or memory.degraded else "ready",
                "environments": environments,
                "degraded": degraded,
            }
        )
