"""HTTP of the transformer: heads and bodies read within limits, answers and problems sent. Plain ASGI."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, NamedTuple
from uuid import uuid4

import orjson

from contracts import headers
from kit.email_inference import RequestInvalid
from kit.errors import OperationalError, SluiceError, problem
from serving.transformer.errors import (
    RETRY_SECONDS,
    BodyTooLarge,
    EncodingRefused,
    Overloaded,
)
from serving.transformer.settings import TransformerSettings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON: Final = b"application/json"
_PROBLEM: Final = b"application/problem+json"
_OCTETS: Final = b"application/octet-stream"
_CONTENT_LENGTH: Final = b"content-length"
_CONTENT_ENCODING: Final = b"content-encoding"
_INFERENCE_LENGTH: Final = headers.INFERENCE_HEADER_LENGTH.lower().encode()
_REQUEST_ID: Final = headers.REQUEST_ID.lower().encode()
_TIMEOUT_MS: Final = headers.TIMEOUT_MS.lower().encode()
_VERSION: Final = headers.MODEL_VERSION.lower().encode()
_MAX_ID: Final = 128


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class Head(NamedTuple):
    """What an inference request's headers say."""

    content_length: int | None
    json_length: int | None
    timeout_seconds: float


def head_of(scope: Scope, settings: TransformerSettings) -> Head:
    """Returns what the headers say.

    Raises:
        RequestInvalid: a number is none.
        EncodingRefused: the body is compressed.
        BodyTooLarge: it is longer than a body may be.
    """
    content = inference = timeout_ms = None
    for name, value in scope["headers"]:
        if name == _CONTENT_LENGTH:
            content = _number(name, value)
        elif name == _INFERENCE_LENGTH:
            inference = _number(name, value)
        elif name == _TIMEOUT_MS:
            timeout_ms = _number(name, value)
        elif name == _CONTENT_ENCODING and value.lower() != b"identity":
            raise EncodingRefused("The body is compressed.", next_step="Send it as it is.")
    if content is not None and content > settings.max_body_bytes:
        raise _too_large(settings)
    if timeout_ms is None:
        return Head(content, inference, settings.timeout_seconds)
    return Head(content, inference, min(timeout_ms / 1000, settings.max_timeout_seconds))


class BodyBudget:
    """The bytes of all bodies that are worked on, held within a limit."""

    def __init__(self, settings: TransformerSettings) -> None:
        self._settings = settings
        self._held = 0

    async def body(self, receive: Receive, head: Head, held: list[int]) -> bytes:
        """Returns a request's body; `held` grows by what must be given back by `release`.

        Raises:
            BodyTooLarge: it is longer than a body may be.
            Overloaded: all bodies together are.
            ClientLeft: the client closed the connection.
        """
        if head.content_length is not None:
            self._hold(head.content_length, held)
        chunks, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._settings.max_body_bytes:
                raise _too_large(self._settings)
            if head.content_length is None:
                self._hold(len(chunk), held)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def release(self, held: Iterable[int]) -> None:
        """Gives bytes back."""
        self._held -= sum(held)

    def _hold(self, count: int, held: list[int]) -> None:
        if self._held + count > self._settings.max_bytes_at_once:
            raise Overloaded("The requests under way hold all the memory there is for bodies.")
        self._held += count
        held.append(count)


async def send_inference(send: Send, body: bytes, json_length: int | None, version: str) -> None:
    """Sends an answer of the model."""
    described = [(b"content-type", JSON if json_length is None else _OCTETS), (_VERSION, version.encode())]
    if json_length is not None:
        described.append((_INFERENCE_LENGTH, b"%d" % json_length))
    await _send(send, 200, body, described)


async def send_json(send: Send, document: Any, status: int = 200) -> None:
    """Sends a document."""
    await _send(send, status, orjson.dumps(document), [(b"content-type", JSON)])


async def send_text(send: Send, body: bytes, content_type: str) -> None:
    """Sends bytes of any kind of text."""
    await _send(send, 200, body, [(b"content-type", content_type.encode())])


async def send_problem(scope: Scope, send: Send, error: SluiceError) -> None:
    """Sends an error as a problem document; `error` holds its sentence again, as the protocol wants."""
    document = problem(error, request_id=_request_id(scope))
    document["error"] = document["detail"]
    described = [(b"content-type", _PROBLEM)]
    if isinstance(error, OperationalError):
        described.append((b"retry-after", b"%d" % RETRY_SECONDS))
    await _send(send, error.status, orjson.dumps(document), described)


async def _send(send: Send, status: int, body: bytes, described: list[tuple[bytes, bytes]]) -> None:
    described.append((_CONTENT_LENGTH, b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": described})
    await send({"type": "http.response.body", "body": body})


def _number(name: bytes, value: bytes) -> int:
    if not value.isdigit() or len(value) > 15:  # noqa: PLR2004 - int() of more digits is slow
        raise RequestInvalid(f"The header {name.decode()} must be a whole number.")
    return int(value)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _REQUEST_ID and value.isascii() and value.decode().isprintable() and len(value) <= _MAX_ID:
            return str(value.decode())
    return uuid4().hex


def _too_large(settings: TransformerSettings) -> BodyTooLarge:
    return BodyTooLarge(
        f"A body has at most {settings.max_body_bytes} bytes.", next_step="Send fewer e-mails at once."
    )
