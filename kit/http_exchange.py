"""A lean HTTP/1.1 client of one server, for the hot path: kept connections, whole answers, nothing else.

A general client (httpx, aiohttp, grpc.aio) costs a request several times what it takes to write one and to
read its answer. Time is the caller's: whoever is cancelled, by `asyncio.timeout` too, takes his connection
with him. Failures are `OSError` (not connected, or lost before the answer was whole) and `NotHttp`.
"""

import asyncio
import functools
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

import httptools

MAX_ANSWER_BYTES: Final = 64 << 20
_MAX_HEAD_BYTES: Final = 64 << 10


class NotHttp(Exception):
    """What came is no answer of HTTP/1.1, or a longer one than is read."""


class Answer(NamedTuple):
    """An answer, whole."""

    status: int
    headers: Mapping[bytes, bytes]
    """By name in lower case."""
    body: bytes


class Exchange:
    """Connections to the server at `address`, host:port; as many as are used at the same time."""

    def __init__(self, address: str, *, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        self.address = address
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._most = max_answer_bytes
        self._idle: deque[_Connection] = deque()
        self._closed = False

    async def asked(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Returns the answer, whatever its status.

        What is sent over a kept connection that turns out to be gone is sent once more over a new one.

        Raises:
            OSError: the server cannot be reached, or the connection was lost before the answer was whole.
            NotHttp: the answer is none, or too long.
        """
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.address}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                try:
                    return await self._over(connection, request)
                except ConnectionError:
                    if connection.answering:
                        raise
                    break  # it was closed while nobody looked
        return await self._over(await self._connected(), request)

    def close(self) -> None:
        """Closes the connections; those in use are closed after their answer."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()

    async def _over(self, connection: "_Connection", request: bytes) -> Answer:
        try:
            answer = await connection.exchanged(request)
        except BaseException:
            connection.abort()
            raise
        if self._closed or not connection.usable:
            connection.abort()
        else:
            self._idle.append(connection)
        return answer

    async def _connected(self) -> "_Connection":
        if self._closed:
            raise ConnectionAbortedError("The connections to this server were closed.")
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            functools.partial(_Connection, self._most), self._host, self._port
        )
        return connection


class _Connection(asyncio.Protocol):
    """One kept connection, one exchange at a time."""

    def __init__(self, most: int) -> None:
        self.answering = False
        """Something of the answer has come."""
        self._most = most
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._keep = True
        self._size = 0
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    @property
    def usable(self) -> bool:
        """Whether a request may be sent."""
        return self._keep and self._transport is not None and not self._transport.is_closing()

    async def exchanged(self, request: bytes) -> Answer:
        """Returns the answer to `request`."""
        if self._transport is None:
            raise ConnectionResetError("The connection was lost.")
        self.answering, self._size = False, 0
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def abort(self) -> None:
        """Closes the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the wait for what will not come."""
        self._transport = None
        self._fail(exc if isinstance(exc, OSError) else ConnectionResetError("The connection was lost."))

    def data_received(self, data: bytes) -> None:
        """Reads what came."""
        self.answering = True
        self._size += len(data)
        if self._waiting is None or self._waiting.done():
            self._refuse("Something came that was not asked for.")
        elif self._size > self._most + _MAX_HEAD_BYTES:
            self._refuse("The answer is longer than is read.")
        else:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError:
                self._refuse("What came is not HTTP.")

    def on_message_begin(self) -> None:
        """Begins an answer."""
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Gives the answer to whoever waits for it."""
        self._keep = self._parser.should_keep_alive()
        if self._waiting is not None and not self._waiting.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._waiting.set_result(Answer(self._parser.get_status_code(), self._headers, body))

    def _refuse(self, why: str) -> None:
        self._keep = False
        self._fail(NotHttp(why))
        self.abort()

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
