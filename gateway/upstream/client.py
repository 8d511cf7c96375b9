"""Connections to the servers of one environment: pooled, bounded, and never waited for beyond a deadline.

Each environment has a pool of its own, so that one whose servers hang cannot hold another one's connections.
A second try goes over a connection of its own: of a server that was restarted every pooled one is dead.
aiohttp, because httpx costs four times as much for each request; what it would do by itself (cookies,
redirects, proxies of the environment, decompression) is off.
"""

import asyncio
import io
from collections.abc import Mapping
from typing import Final, NamedTuple

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from contracts import headers as names
from contracts.environments import Environment
from gateway.asked import Asked
from gateway.errors import UpstreamDown, UpstreamFailed, UpstreamLate
from gateway.measures import Measures
from gateway.settings import GatewaySettings

MAX_ANSWER_BYTES: Final = 32 << 20
"""Of one answer; what is longer is not read."""
_LEAST_SECONDS: Final = 0.001
_MAX_HEAD_BYTES: Final = 16 << 10
_ONE_PIECE_BYTES: Final = 1 << 20
_OK: Final = 200
_JSON: Final = "application/json"
_OCTETS: Final = "application/octet-stream"
_SILENT: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Unreached(UpstreamDown):
    """Nothing was answered: the connection could not be made, or broke. What was asked may be asked again."""


class Reply(NamedTuple):
    """An answer of a server, whole."""

    status: int
    body: bytes
    json_length: int | None
    """Bytes of JSON before binary tensors."""


def sent_headers(asked: Asked, json_length: int | None) -> dict[str, str]:
    """Returns what an inference is sent with, but for the time that is left."""
    sent = {
        names.REQUEST_ID: asked.request_id,
        names.TRACEPARENT: asked.traceparent,
        "Content-Type": _JSON if json_length is None else _OCTETS,
    }
    if json_length is not None:
        sent[names.INFERENCE_HEADER_LENGTH] = str(json_length)
    return sent


class Client:
    """Asks the servers of one environment; make it on the event loop, and close it."""

    def __init__(self, environment: Environment, settings: GatewaySettings, measures: Measures) -> None:
        self._environment = environment
        self._pooled = _session(
            aiohttp.TCPConnector(limit=settings.upstream_connections, keepalive_timeout=30)
        )
        self._fresh = _session(aiohttp.TCPConnector(limit=settings.upstream_connections, force_close=True))
        self._seconds = measures.upstream_seconds.labels(environment)

    async def ask(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
        *,
        fresh: bool = False,
    ) -> Reply:
        """Returns what `url` answers before `deadline` (in the loop's time), whatever its status.

        Raises:
            Unreached: the connection was refused, or broke before the answer was whole.
            UpstreamFailed: what came is not HTTP, is compressed, or too long.
            UpstreamLate: nothing came in time.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        left = deadline - begun
        if left < _LEAST_SECONDS:
            raise UpstreamLate(f"The time was over before a server in {self._environment} was asked.")
        try:
            sent = {**headers, names.TIMEOUT_MS: str(int(left * 1000))}
            return await self._asked(
                self._fresh if fresh else self._pooled, method, url, sent, body, deadline
            )
        finally:
            self._seconds.observe(loop.time() - begun)

    async def probe(self, url: URL, deadline: float) -> Reply:
        """Returns what `url` answers to a GET; outside the pool, which may be taken up, and not timed.

        Raises as `ask` does.
        """
        return await self._asked(self._fresh, "GET", url, {}, None, deadline)

    async def close(self) -> None:
        """Closes all connections."""
        await self._pooled.close()
        await self._fresh.close()

    async def _asked(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
    ) -> Reply:
        try:
            async with (
                asyncio.timeout_at(deadline),
                session.request(
                    method, url, headers=headers, data=_content(body), allow_redirects=False
                ) as response,
            ):
                return await self._reply(response)
        except TimeoutError:
            raise UpstreamLate(
                f"No server in {self._environment} answered within the time given.",
                next_step=f"Allow more time by {names.TIMEOUT_MS}, or try again.",
            ) from None
        except aiohttp.ClientPayloadError as exc:
            raise self._failed("broke off its answer, or wrote it wrongly") from exc
        except (aiohttp.ClientConnectionError, ConnectionError) as exc:
            raise Unreached(
                f"The model server in {self._environment} cannot be reached, or closed the connection.",
                next_step="Try again shortly.",
            ) from exc
        except aiohttp.ClientError as exc:
            raise self._failed("answered with something that is not HTTP") from exc

    async def _reply(self, response: aiohttp.ClientResponse) -> Reply:
        headers = response.headers
        if "Content-Encoding" in headers:
            raise self._failed("compressed its answer")
        told = _whole_number(headers, "Content-Length")
        if told is not None and told > MAX_ANSWER_BYTES:
            raise self._failed("answered with more than is read")
        chunks, size = [], 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise self._failed("answered with more than is read")
            chunks.append(chunk)
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        length = headers.get(names.INFERENCE_HEADER_LENGTH)
        if length is None or response.status != _OK:
            return Reply(response.status, body, None)
        json_length = _whole_number(headers, names.INFERENCE_HEADER_LENGTH)
        if json_length is None:
            raise self._failed("told no length of its JSON")
        return Reply(response.status, body, json_length)

    def _failed(self, what: str) -> UpstreamFailed:
        return UpstreamFailed(f"The model server in {self._environment} {what}.")


def _content(body: bytes | None) -> bytes | io.BytesIO | None:
    """Returns what aiohttp sends in one piece, or in several if it is large."""
    return body if body is None or len(body) <= _ONE_PIECE_BYTES else io.BytesIO(body)


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        skip_auto_headers=_SILENT,
        auto_decompress=False,
        trust_env=False,
        max_line_size=_MAX_HEAD_BYTES,
        max_field_size=_MAX_HEAD_BYTES,
    )


def _whole_number(headers: CIMultiDictProxy[str], name: str) -> int | None:
    value = headers.get(name)
    return int(value) if value is not None and value.isdecimal() and len(value) < 16 else None  # noqa: PLR2004
