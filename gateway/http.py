"""HTTP as every layer sees it: the types of ASGI, a document as an answer, and an error as one."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from gateway.errors import headers_of
from gateway.passage import Passage
from kit.errors import SluiceError, problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"


class ClientLeft(Exception):
    """The client closed the connection before its request was whole: there is nobody to answer."""


class Document:
    """An answer that is whole; an ASGI application of its own."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        body: bytes,
        *,
        status: int = HTTPStatus.OK,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.body = body
        self.status = int(status)
        self.content_type = content_type
        self.headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Sends it."""
        described = [
            (b"content-type", self.content_type.encode("latin-1")),
            (b"content-length", b"%d" % len(self.body)),
        ]
        if self.headers:
            described += [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in self.headers.items()
            ]
        await send({"type": "http.response.start", "status": self.status, "headers": described})
        await send({"type": "http.response.body", "body": self.body})


def document(value: Any, *, status: int = HTTPStatus.OK) -> Document:
    """Returns `value` as an answer in JSON."""
    return Document(orjson.dumps(value), status=status)


def problem_of(error: SluiceError, passage: Passage, *, protocol: bool = False) -> Document:
    """Returns `error` as an answer; `protocol` adds the member that the Open Inference Protocol reads."""
    told = problem(error, request_id=passage.request_id)
    if protocol:
        told["error"] = told["detail"]
    return Document(orjson.dumps(told), status=error.status, content_type=PROBLEM, headers=headers_of(error))
