"""Messages of an mbox stream, one by one; and where they begin, so that several can read it at once."""

import re
from collections.abc import Iterator
from typing import Final, Protocol

_CHUNK_BYTES: Final = 1 << 16
# RFC 4155 asks for an address and a time stamp; the body text "From the desk of …" has no clock in it.
_SEPARATOR: Final = re.compile(rb"From \S.*\d{1,2}:\d\d.*\d{4}")
_QUOTED: Final = re.compile(rb">+From ")


class Lines(Protocol):
    """A stream that is read line by line, no more than `size` bytes at once."""

    def readline(self, size: int) -> bytes:
        """Returns up to `size` bytes, and not beyond the end of the line; nothing at the end."""
        ...


def starts(stream: Lines) -> Iterator[int]:
    """Yields where each message begins, in bytes from the start of the stream; an empty stream has none.

    What lies from one start to the next is, for `split`, that message alone.
    """
    at = 0
    line_starts, after_empty = True, True
    while chunk := stream.readline(_CHUNK_BYTES):
        if at == 0 or (line_starts and after_empty and _SEPARATOR.match(chunk)):
            yield at
        after_empty = line_starts and not chunk.strip(b"\r\n")
        line_starts = chunk.endswith(b"\n")
        at += len(chunk)


def split(stream: Lines, max_bytes: int) -> Iterator[bytes]:
    """Yields each message of an mbox (mboxrd) without its envelope line, cut to `max_bytes` + 1.

    A line `From … hh:mm … yyyy` at the start or after an empty line begins a message. Lines that the writer
    quoted (`>From `) lose one `>`. What stands before the first envelope line comes as an entry of its own.
    """
    message: bytearray | None = None
    line_starts, after_empty = True, True
    while chunk := stream.readline(_CHUNK_BYTES):
        if line_starts and after_empty and _SEPARATOR.match(chunk):
            if message is not None:
                yield _closed(message, max_bytes)
            message = bytearray()
        else:
            message = bytearray() if message is None else message
            if len(message) <= max_bytes:
                message += chunk[1:] if line_starts and _QUOTED.match(chunk) else chunk
        after_empty = line_starts and not chunk.strip(b"\r\n")
        line_starts = chunk.endswith(b"\n")
    if message is not None:
        yield _closed(message, max_bytes)


def _closed(message: bytearray, max_bytes: int) -> bytes:
    # The empty line before the next envelope line belongs to the mbox.
    for end in (b"\r\n\r\n", b"\n\n"):
        if message.endswith(end):
            del message[-len(end) // 2 :]
            break
    return bytes(message[: max_bytes + 1])
