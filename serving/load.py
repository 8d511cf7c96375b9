"""A lean load generator over HTTP/1.1: what clients see while models are measured or moved.

Closed loop: so many connections, each sends its next request when it has the answer to the last. Open loop:
requests at a fixed rate, whatever the server does; a time then counts from the moment when the request was
due, so that a server that stalls is not measured kindly (coordinated omission). The generator shares the
cores with what it measures, which is why it is no client library.
"""

import asyncio
import itertools
import statistics
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast

from contracts.headers import MODEL_VERSION

NO_ANSWER: Final = 0
"""The status of a request whose connection could not be made, or was lost before the answer."""

_VERSION: Final = f"\r\n{MODEL_VERSION.lower()}: ".encode()
_LENGTH: Final = b"\r\ncontent-length: "
_ANSWER_SECONDS: Final = 60.0
_ERROR: Final = 400
_OK: Final = 200


class Answer(NamedTuple):
    """What came of one request."""

    request: int
    """Index of the request among those given."""
    begun: float
    """`time.perf_counter()` when it was sent; in the open loop when it was due."""
    seconds: float
    status: int
    version: str | None
    """The model version that the answer names in its header."""
    body: bytes
    """Kept if asked for, and of every error."""


class Summary(NamedTuple):
    """The answers of one run in numbers; times in seconds, of answers with status 200."""

    answers: int
    failures: int
    """Every status but 200."""
    per_second: float
    p50: float
    p99: float


def post(host: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Returns the bytes of a POST request; `host` is `host:port`."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def closed_loop(
    host: str,
    requests: Sequence[bytes],
    *,
    connections: int,
    count: int | None = None,
    seconds: float | None = None,
    keep_bodies: bool = False,
) -> list[Answer]:
    """Returns the answers to `requests`, sent round and round until `count` are sent or `seconds` are over.

    Without either each request is sent once.
    """
    if count is None and seconds is None:
        count = len(requests)
    end = time.perf_counter() + seconds if seconds is not None else None
    turns = itertools.count()
    answers: list[Answer] = []

    async def client() -> None:
        connection = _Connection(host, keep_bodies=keep_bodies)
        while (turn := next(turns)) < (count or turn + 1) and (end is None or time.perf_counter() < end):
            index = turn % len(requests)
            answers.append(await connection.asked(index, requests[index], time.perf_counter()))
        await connection.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return answers


async def open_loop(
    host: str,
    requests: Sequence[bytes],
    *,
    rate: float,
    seconds: float,
    keep_bodies: bool = False,
) -> list[Answer]:
    """Returns the answers to `requests`, sent round and round at `rate` a second for `seconds`.

    Connections are opened as they are needed: a request never waits for another.
    """
    begun = time.perf_counter()
    idle: deque[_Connection] = deque()

    async def ask(turn: int) -> Answer:
        due = begun + turn / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = idle.pop() if idle else _Connection(host, keep_bodies=keep_bodies)
        index = turn % len(requests)
        answer = await connection.asked(index, requests[index], due)
        idle.append(connection)
        return answer

    answers = await asyncio.gather(*(ask(turn) for turn in range(int(rate * seconds))))
    await asyncio.gather(*(connection.close() for connection in idle))
    return answers


def summary(answers: Sequence[Answer]) -> Summary:
    """Returns `answers` in numbers; the rate is over the time from the first request to the last answer."""
    times = sorted(answer.seconds for answer in answers if answer.status == _OK)
    if len(times) < 2:  # noqa: PLR2004 - quantiles need two
        raise ValueError("Less than two requests were answered: there is nothing to sum up.")
    begun = min(answer.begun for answer in answers)
    ended = max(answer.begun + answer.seconds for answer in answers)
    return Summary(
        answers=len(answers),
        failures=len(answers) - len(times),
        per_second=len(times) / (ended - begun),
        p50=statistics.median(times),
        p99=statistics.quantiles(times, n=100)[98],
    )


class _Connection(asyncio.Protocol):
    """One keep-alive connection; it is made when it is first needed, and again when it was lost."""

    def __init__(self, host: str, *, keep_bodies: bool) -> None:
        self._host, _, port = host.rpartition(":")
        self._port = int(port)
        self._keep_bodies = keep_bodies
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()
        self._waiting: asyncio.Future[tuple[int, str | None, bytes]] | None = None
        self._lost = asyncio.Event()

    async def asked(self, index: int, request: bytes, begun: float) -> Answer:
        """Returns the answer to `request`; a lost connection is an answer too."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                status, version, body = await self._exchanged(request)
        except OSError:  # TimeoutError is one
            await self.close()
            status, version, body = NO_ANSWER, None, b""
        return Answer(index, begun, time.perf_counter() - begun, status, version, body)

    async def _exchanged(self, request: bytes) -> tuple[int, str | None, bytes]:
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            await loop.create_connection(lambda: self, self._host, self._port)
            if self._transport is None:
                raise ConnectionResetError
        self._received.clear()
        self._waiting = loop.create_future()
        self._transport.write(request)
        return await self._waiting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._lost.clear()

    def data_received(self, data: bytes) -> None:
        """Completes the answer that is waited for, if it is all there."""
        received = self._received
        received += data
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0 or self._waiting is None or self._waiting.done():
            return
        head = bytes(received[: head_end + 2]).lower()
        body = head_end + 4
        if len(received) - body < int(_value(head, _LENGTH) or 0):
            return
        status = int(head[9:12])
        version = _value(head, _VERSION)
        kept = bytes(received[body:]) if self._keep_bodies or status >= _ERROR else b""
        self._waiting.set_result((status, version, kept))

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the wait for an answer that will not come."""
        self._transport = None
        self._lost.set()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc if isinstance(exc, OSError) else ConnectionResetError())

    async def close(self) -> None:
        """Closes the connection, if there is one, and waits for its end."""
        if self._transport is not None:
            self._transport.abort()
            await self._lost.wait()


def _value(head: bytes, name: bytes) -> str | None:
    start = head.find(name)
    if start < 0:
        return None
    start += len(name)
    return head[start : head.index(b"\r\n", start)].decode("latin-1")
