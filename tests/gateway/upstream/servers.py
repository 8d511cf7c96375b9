"""Model servers that behave as a test wants: a plain TCP server, so that it can break every rule there is."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from contracts.features import NUMERIC_FEATURES
from gateway.upstream.tensors import packed

NUMBERS = len(NUMERIC_FEATURES)
DIGEST = "d" * 64


class Request(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> dict[str, Any]:
        """Returns the JSON of the body."""
        length = self.headers.get("inference-header-content-length")
        read: dict[str, Any] = json.loads(self.body[: int(length)] if length else self.body)
        return read

    def emails(self) -> list[bytes]:
        """Returns the e-mails, which follow the JSON or stand in it."""
        tensor = self.document()["inputs"][0]
        if "data" in tensor:
            return [element.encode() for element in tensor["data"]]
        raw, at, found = self.body[int(self.headers["inference-header-content-length"]) :], 0, []
        while at < len(raw):
            (size,) = struct.unpack_from("<I", raw, at)
            found.append(raw[at + 4 : at + 4 + size])
            at += 4 + size
        return found


Behaviour = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Listens on a free port of 127.0.0.1; probes are always answered well, all else is `behaviour`'s."""

    def __init__(self, behaviour: Behaviour, *, version: str = "1") -> None:
        self.behaviour = behaviour
        self.version = version
        self.requests: list[Request] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def listen(self) -> None:
        """Begins to listen, at the same port as before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes everything at once."""
        if self._server is not None:
            self._server.close()
            self.disconnect()
            self._server = None

    def disconnect(self) -> None:
        """Breaks every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                request = await _read(reader)
                if request.path.endswith("/ready") and "x-request-id" not in request.headers:
                    await send(writer, {"ready": True, "version": self.version})
                    continue
                self.requests.append(request)
                await self.behaviour(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    lines = [line.split(": ", 1) for line in head[1:] if line]
    headers = {name.lower(): value for name, value in lines}
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


async def send(
    writer: asyncio.StreamWriter,
    body: bytes | Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Sends an answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Length": str(len(content))} | dict(headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + content)
    await writer.drain()


Change = Callable[[dict[str, Any]], None]


def mail_answer(
    request: Request,
    *,
    model: str = "spam-detector",
    version: str = "1",
    told_by: str = "",
    probability: float = 0.25,
    verdict: str = "ham",
    change: Change | None = None,
) -> tuple[bytes, int]:
    """Returns what a transformer answers, as bytes behind the JSON; the sender in the facts is the e-mail."""
    emails = request.emails()
    count = len(emails)
    facts = [
        {"sender": email.decode(), "sender_domain": told_by, "schema_digest": DIGEST, "threshold": 0.5}
        for email in emails
    ]
    known: dict[str, tuple[str, list[int], bytes]] = {
        "probability": ("FP32", [count], struct.pack("<f", probability) * count),
        "label": ("INT64", [count], struct.pack("<q", 0) * count),
        "verdict": ("BYTES", [count], packed([verdict.encode()] * count)),
        "numeric": ("FP32", [count, NUMBERS], struct.pack(f"<{NUMBERS}f", *range(NUMBERS)) * count),
        "facts": ("BYTES", [count], packed([json.dumps(one).encode() for one in facts])),
        "explanation": ("BYTES", [count], packed([b'{"unit": "log_odds"}'] * count)),
    }
    names = [output["name"] for output in request.document()["outputs"]]
    return _answer({name: known[name] for name in names}, model=model, version=version, change=change)


def number_answer(
    request: Request,
    scores: Sequence[float] = (0.2, 0.5, 0.3),
    label: int = 1,
    *,
    model: str = "iris",
    version: str = "1",
    change: Change | None = None,
) -> tuple[bytes, int]:
    """Returns what Triton answers for a model of numbers, with as many classes as scores."""
    asked = request.document()
    count = asked["inputs"][0]["shape"][0]
    known = {
        "label": ("INT64", [count, 1], struct.pack("<q", label) * count),
        "probabilities": (
            "FP32",
            [count, len(scores)],
            struct.pack(f"<{len(scores)}f", *scores) * count,
        ),
    }
    names = [output["name"] for output in asked.get("outputs", ())] or list(known)
    return _answer({name: known[name] for name in names}, model=model, version=version, change=change)


def _answer(
    outputs: Mapping[str, tuple[str, list[int], bytes]], *, model: str, version: str, change: Change | None
) -> tuple[bytes, int]:
    document: dict[str, Any] = {
        "model_name": model,
        "model_version": version,
        "outputs": [
            {"name": name, "datatype": kind, "shape": shape, "parameters": {"binary_data_size": len(raw)}}
            for name, (kind, shape, raw) in outputs.items()
        ],
    }
    if change is not None:
        change(document)
    head = json.dumps(document).encode()
    return head + b"".join(raw for _, _, raw in outputs.values()), len(head)


def mails(**how: Any) -> Behaviour:
    """Answers as a transformer does."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        body, length = mail_answer(request, **how)
        await send(writer, body, headers={"Inference-Header-Content-Length": str(length)})

    return behave


def flowers(**how: Any) -> Behaviour:
    """Answers as Triton does for a model of numbers."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        body, length = number_answer(request, **how)
        await send(writer, body, headers={"Inference-Header-Content-Length": str(length)})

    return behave


def says(body: bytes | Mapping[str, Any], status: int = 200, **headers: str) -> Behaviour:
    """Answers the same to everything."""

    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        await send(writer, body, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return behave


def writes(raw: bytes) -> Behaviour:
    """Writes bytes that need not be HTTP, and closes."""

    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    return behave


def resets() -> Behaviour:
    """Breaks the connection without a word."""

    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return behave


def hangs() -> Behaviour:
    """Never answers."""

    async def behave(_request: Request, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    return behave


def drips() -> Behaviour:
    """Begins an answer, and goes on with it for ever."""

    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    return behave


def floods() -> Behaviour:
    """Sends without end."""

    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        block = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        while True:
            writer.write(block)
            await writer.drain()

    return behave
