"""`POST /v1/feedback`: what an e-mail really was."""

from pydantic import ValidationError
from starlette.requests import Request

from contracts import gateway as paths
from gateway.emails import kind_of
from gateway.http import JSON, Document, document
from gateway.parts import Parts
from gateway.passage import Passage
from gateway.routes.lean import LeanRoute
from gateway.schemas import NewFeedback
from gateway.validation import failed, faults_of, object_of

_WHAT = "feedback"


class Feedback:
    """Takes labels for answers that were given."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[LeanRoute]:
        """Returns the route."""
        return [LeanRoute(paths.FEEDBACK, self.feedback, methods=["POST"])]

    async def feedback(self, request: Request, passage: Passage) -> Document:
        """Says what an e-mail really was; saying it again changes nothing, saying otherwise corrects it."""
        parts = self._parts
        async with parts.entry.known(passage) as (caller, deadline):
            kind_of(passage.headers, JSON)
            async with parts.bodies.body(request.receive, passage.headers, deadline) as body:
                given = object_of(body, _WHAT)
            try:
                said = NewFeedback.model_validate(given)
            except ValidationError as exc:
                raise failed(faults_of(exc, _WHAT)) from None
            outcome = await parts.memory.feedback(caller, said.request_id, said.label)
        return document({"request_id": said.request_id, "label": said.label.value, "outcome": outcome.value})
