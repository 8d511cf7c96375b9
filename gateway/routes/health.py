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
        """Tells whether every environment answers, as it was last seen.

        Raises:
            ShuttingDown: the gateway was told to stop.
            NotReady: an environment does not answer.
        """
        if self._stopping.told:
            raise ShuttingDown("The gateway was told to stop.", next_step="Ask another one.")
        seen = {
            environment: self._parts.backend.readiness(environment)
            for environment in self._parts.settings.environments
        }
        environments = {environment.value: readiness.ready for environment, readiness in seen.items()}
        if not all(environments.values()):
            reasons = " ".join(
                f"{environment}: {readiness.reason or 'not ready.'}"
                for environment, readiness in seen.items()
                if not readiness.ready
            )
            raise NotReady(reasons, environments=environments)
        memory = self._parts.memory.state()
        return document(
            {
                "status": "degraded" if memory.degraded else "ready",
                "environments": environments,
                "degraded": [] if memory.reason is None else [memory.reason],
            }
        )
