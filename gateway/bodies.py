"""Bodies of requests: read once, within a limit for each and one for all together, and in time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from gateway.errors import BodyLate, BodyTooLarge, ContentTypeRefused, Overloaded, RequestInvalid
from gateway.http import ClientLeft, Receive
from gateway.settings import GatewaySettings

_MAX_DIGITS: Final = 15
"""int() of more digits is slow, and no length has as many."""


def whole_number(headers: Mapping[str, str], name: str) -> int | None:
    """Returns the number that the header `name` holds; None if it is not there.

    Raises:
        RequestInvalid: it is no whole number.
    """
    value = headers.get(name.lower())
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > _MAX_DIGITS:
        raise RequestInvalid(f"The header {name} must be a whole number.")
    return int(value)


class Bodies:
    """The bytes of all bodies that are worked on, held within a limit."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._each = settings.max_body_bytes
        self._all = settings.max_bytes_at_once
        self._held = 0

    @asynccontextmanager
    async def body(
        self, receive: Receive, headers: Mapping[str, str], deadline: float
    ) -> AsyncIterator[bytes]:
        """Yields a request's body; its bytes count until the block ends.

        Raises:
            ContentTypeRefused: it is compressed.
            BodyTooLarge: it is longer than a body may be: told by its length, or noticed while it comes.
            BodyLate: it is not whole at the deadline.
            Overloaded: all bodies together would be too long.
            ClientLeft: the client closed the connection.
        """
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ContentTypeRefused("The body is compressed.", next_step="Send it as it is.")
        length = whole_number(headers, "Content-Length")
        if length is not None and length > self._each:
            raise self._too_large()
        held: list[int] = []
        try:
            if length is not None:
                self._hold(length, held)
            try:
                async with asyncio.timeout_at(deadline):
                    body = await self._read(receive, held, counted=length is not None)
            except TimeoutError:
                raise BodyLate(
                    "The body was not whole when the request's time was over.",
                    next_step="Send it faster, or ask for more time with X-Request-Timeout-Ms.",
                ) from None
            yield body
        finally:
            self._held -= sum(held)

    async def _read(self, receive: Receive, held: list[int], *, counted: bool) -> bytes:
        chunks, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._each:
                raise self._too_large()
            if not counted:
                self._hold(len(chunk), held)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _hold(self, count: int, held: list[int]) -> None:
        if self._held + count > self._all:
            raise Overloaded("The requests under way hold all the memory there is for bodies.")
        self._held += count
        held.append(count)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"A body has at most {self._each} bytes.", next_step="Send less, or fewer e-mails at once."
        )
