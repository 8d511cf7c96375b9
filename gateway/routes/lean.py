"""Routes that FastAPI finds and documents, and that answer without its machinery.

Dependency injection, body parsing and response models cost several times the gateway's own work for each
request; overriding what FastAPI runs for a route is its documented way to leave them out.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request

from gateway.http import Document, Receive, Scope, Send
from gateway.passage import Passage, passage_of

Answering = Callable[[Request, Passage], Awaitable[Document]]


class LeanRoute(APIRoute):
    """A route whose endpoint takes the request and its passage, and returns the whole answer."""

    def __init__(self, path: str, answering: Answering, **described: Any) -> None:
        async def endpoint() -> None:
            """Stands for `answering` where FastAPI looks for parameters."""

        endpoint.__name__ = getattr(answering, "__name__", "endpoint")
        endpoint.__doc__ = answering.__doc__
        described.setdefault("operation_id", endpoint.__name__)
        described.setdefault("name", described["operation_id"])
        super().__init__(path, endpoint, **described)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            answer = await answering(Request(scope, receive), passage_of(scope))
            await answer(scope, receive, send)

        self.app = app
