"""uvicorn's HTTP protocol, with an end to what a client may send, and problems where it would answer text."""

from typing import Any, Final
from uuid import uuid4

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import RequestInvalid
from gateway.http import PROBLEM
from kit.errors import problem

MAX_HEAD_BYTES: Final = 64 << 10


class BoundedProtocol(HttpToolsProtocol):
    """One connection; a head that does not end, or a body that nobody reads, is its end."""

    max_unread_bytes = 64 << 20
    """Of a body that goes on after its request was answered (413, say)."""
    head_seconds = 20.0
    """From the first byte of a head to its last."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes, self._unread_bytes = 0, 0
        self._in_head = True
        self._messages = 0
        self._head_timer: Any = None

    def data_received(self, data: bytes) -> None:
        """Takes what came."""
        if self._in_head and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)
        answered = self._messages
        super().data_received(data)
        # What a whole request came with is no part of the next one's head.
        if self._in_head and self._messages == answered:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Begins to count."""
        super().on_message_begin()
        self._head_bytes, self._unread_bytes, self._in_head = 0, 0, True

    def on_headers_complete(self) -> None:
        """Ends it."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Takes a piece of a body; what comes after the answer is thrown away, to an end."""
        if self.cycle.response_complete:
            self._unread_bytes += len(body)
            if self._unread_bytes > self.max_unread_bytes:
                self.transport.abort()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends a request; what comes next is the head of another."""
        super().on_message_complete()
        self._head_bytes, self._in_head = 0, True
        self._messages += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP."""
        del msg
        error = RequestInvalid("This is not a request of HTTP/1.1.")
        body = orjson.dumps(problem(error, request_id=uuid4().hex))
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: {PROBLEM}\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _head_is_late(self) -> None:
        self._head_timer = None
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
