"""One request to a channel and its answer: bounded in time and in length, and told in our own words.

It is httpcore, the lower half of httpx: that follows no redirect, reads no proxy from the environment, and
writes no address into a log, whose path may be a secret.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from monitoring.delivery.egress import EgressRefused
from monitoring.delivery.request import Request

ANSWER_BYTES: Final = 16 << 10
"""How much of an answer's body is read; its head is bounded by httpcore, at 100 KiB."""
BODY_SECONDS: Final = 2
"""How long it may come, after the head."""


class Unanswered(Exception):
    """A request that brought no answer; the message says why, and holds nothing of the request's address."""

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.lasting = lasting
        """It will be no other until a person changes something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a channel said."""

    status: int
    retry_after: str = ""
    """The header of this name."""
    text: str = ""
    """How its body begins."""


class Exchange:
    """Sends requests over `network`, one connection for each."""

    def __init__(
        self, network: httpcore.AsyncNetworkBackend, *, seconds: float, tls: ssl.SSLContext | None = None
    ) -> None:
        self._network = network
        self._seconds = seconds
        self._tls = tls

    async def answer(self, request: Request) -> Answer:
        """Returns the answer to `request`, whatever its status.

        Raises:
            Unanswered: there is none, or none that is HTTP.
        """
        try:
            async with asyncio.timeout(self._seconds) as limit:
                return await self._asked(request, limit)
        except TimeoutError as exc:
            raise Unanswered(f"no answer within {self._seconds:g} s") from exc
        except (EgressRefused, OSError, UnicodeError, *_FAILURES) as exc:
            raise _told(exc) from exc

    async def _asked(self, request: Request, limit: asyncio.Timeout) -> Answer:
        headers = [
            *request.headers.items(),
            ("Host", urlsplit(request.url).netloc),  # httpcore's own has no brackets around an IPv6 address
            ("Content-Length", str(len(request.body))),
            ("Connection", "close"),
        ]
        if self._tls is None and request.url.startswith("https:"):
            self._tls = httpcore.default_ssl_context()  # 20 ms: once, and only where it is needed
        async with (
            contextlib.AsyncExitStack() as opened,
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls, network_backend=_Closing(self._network, opened)
            ) as pool,
            pool.stream(
                request.method,
                request.url,
                headers=headers,
                content=request.body,
                extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)},
            ) as response,
        ):
            limit.reschedule(None)  # the status is known, and stays what it is whatever becomes of the body
            found = {name.lower(): value for name, value in response.headers}
            return Answer(
                status=response.status,
                retry_after=found.get(b"retry-after", b"").decode("ascii", "replace"),
                text=await _beginning(response),
            )


class _Closing(httpcore.AsyncNetworkBackend):
    """A network whose connections are closed with the exchange.

    httpcore 1.0 leaves one open that is given up while TLS is agreed on.
    """

    def __init__(self, network: httpcore.AsyncNetworkBackend, opened: contextlib.AsyncExitStack) -> None:
        self._network = network
        self._opened = opened

    async def connect_tcp(self, *arguments: Any, **named: Any) -> httpcore.AsyncNetworkStream:
        """Returns a connection of the network."""
        stream = await self._network.connect_tcp(*arguments, **named)
        self._opened.push_async_callback(stream.aclose)
        return stream


_FAILURES: Final = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


async def _beginning(response: httpcore.Response) -> str:
    body = b""
    with contextlib.suppress(TimeoutError, *_FAILURES):
        async with asyncio.timeout(BODY_SECONDS):
            async for part in response.aiter_stream():
                body += part
                if len(body) >= ANSWER_BYTES:
                    break
    return body[:ANSWER_BYTES].decode("utf-8", "replace")


_WORDS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, bool], ...]] = (
    (
        EgressRefused,
        "its address is not public, and MONITORING_EGRESS_ALLOWED does not hold it",
        True,
    ),
    (ssl.SSLCertVerificationError, "its certificate is not valid", False),
    (ssl.SSLError, "TLS could not be agreed on", False),
    (socket.gaierror, "its name is not known", False),
    (UnicodeError, "its name is no name of a host", True),
    (httpcore.TimeoutException, "no answer in time", False),
    (httpcore.RemoteProtocolError, "its answer is not HTTP, is cut off, or has too long a head", False),
    (httpcore.ProtocolError, "it cannot be asked over HTTP", True),
    ((httpcore.ReadError, httpcore.WriteError), "the connection broke", False),
    ((httpcore.NetworkError, OSError), "nothing answers there", False),
)
"""What went wrong, in words, and whether it lasts until a person changes something; the first that fits."""


def _told(error: Exception) -> Unanswered:
    chain = list(_chain(error))
    for kinds, words, lasting in _WORDS:
        for each in chain:
            if isinstance(each, kinds):
                detail = f": {each.verify_message}" if isinstance(each, ssl.SSLCertVerificationError) else ""
                return Unanswered(words + detail, lasting=lasting)
    raise error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
