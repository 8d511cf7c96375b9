"""A real HTTP server for tests, that answers as a test says, well or ill, and keeps what came."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


Behaviour = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Returns an answer of HTTP."""
    lines = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def saying(*answers: bytes) -> Behaviour:
    """Returns the behaviour that gives `answers` one after the other, and the last again and again."""
    left = list(answers)

    async def behave(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return behave


@dataclass
class Receiver:
    """The server: where it is, what came, and how it behaves."""

    behaviour: Behaviour = field(default_factory=lambda: saying(OK))
    host: str = "127.0.0.1"
    scheme: str = "http"
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def url(self, path: str = "/hook/the-secret-of-the-path") -> str:
        """Returns an address of it."""
        return f"{self.scheme}://{self.host}:{self.port}{path}"

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Returns when `condition` holds; looked at whenever something comes."""
        async with asyncio.timeout(WAIT_SECONDS), self._news:
            await self._news.wait_for(condition)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes one request."""
        self.connections += 1
        self._writers.add(writer)
        await self._tell()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await _request(reader)
            self.received.append(request)
            await self._tell()
            await self.behaviour(request, writer)
            await writer.drain()
        writer.close()

    def abort(self) -> None:
        """Ends every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


@contextlib.asynccontextmanager
async def running(
    behaviour: Behaviour | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[Receiver]:
    """Yields a server on a free port."""
    receiver = Receiver(scheme="https" if tls else "http", host=host)
    if behaviour is not None:
        receiver.behaviour = behaviour
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        receiver.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)
