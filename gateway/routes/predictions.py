"""`GET /v1/predictions/{request_id}`: what was answered, and by what."""

from starlette.requests import Request

from contracts import gateway as paths
from gateway.http import Document
from gateway.parts import Parts
from gateway.passage import Passage
from gateway.routes.lean import LeanRoute


class RememberedPredictions:
    """Looks answers up in the records."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[LeanRoute]:
        """Returns the route."""
        return [LeanRoute(f"{paths.PREDICTIONS}/{{request_id}}", self.prediction, methods=["GET"])]

    async def prediction(self, request: Request, passage: Passage) -> Document:
        """Tells what was answered under a request id, in which environment and by which version."""
        parts = self._parts
        async with parts.entry.known(passage) as (caller, _):
            found = await parts.memory.prediction(caller, request.path_params["request_id"])
        return Document(found.model_dump_json().encode())
