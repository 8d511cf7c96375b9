"""`GET /v1/models`: what answers where, as far as a key reaches."""

from typing import Any

from starlette.requests import Request

from contracts import gateway as paths
from contracts.environments import HEADER as ENVIRONMENT_HEADER
from gateway.asked import Caller
from gateway.backends.backend import Served
from gateway.http import Document, document
from gateway.parts import Parts
from gateway.passage import Passage
from gateway.routes.lean import LeanRoute


class Models:
    """Tells which version of each model answers in each environment."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[LeanRoute]:
        """Returns the route."""
        return [LeanRoute(paths.MODELS, self.models, methods=["GET"])]

    async def models(self, _request: Request, passage: Passage) -> Document:
        """Lists what answers where, since when, and its figures; in one environment if the header says."""
        parts = self._parts
        async with parts.entry.known(passage) as (caller, _):
            environments = tuple(parts.settings.environments)
            if ENVIRONMENT_HEADER.lower() in passage.headers:
                environment = parts.entry.environment(passage)
                parts.access.permit(caller, environment=environment)
                environments = (environment,)
            served = [
                _described(item)
                for environment in environments
                if environment in caller.environments
                for item in parts.backend.served(environment)
                if _reaches(caller, item)
            ]
        return document({"models": served})


def _reaches(caller: Caller, served: Served) -> bool:
    return caller.models is None or served.model in caller.models


def _described(served: Served) -> dict[str, Any]:
    return {
        "model": served.model,
        "environment": served.environment.value,
        "version": served.version,
        "since": served.since,
        "takes": "emails" if served.transformer else "tensors",
        "figures": dict(served.figures),
    }
