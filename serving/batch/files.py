"""A folder of messages, or an mbox, as an input: a part is some files, or a stretch of an mbox."""

import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feature_repo import mailboxes
from kit.files import sha256_of
from serving.batch.rows import Limits, Problem, Rows

MBOX_SUFFIX: Final = ".mbox"


@dataclass(frozen=True, slots=True)
class FilesPart:
    """Some files below a folder, each one message; its id is its path below the folder."""

    folder: Path
    names: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many messages there are."""
        return len(self.names)

    def read(self, limits: Limits) -> Rows:
        """Returns the messages; a file that cannot be read is a row with a problem."""
        hashes: list[str | None] = []
        problems: list[Problem | None] = []
        messages: list[bytes] = []
        for name in self.names:
            raw, problem, digest = _message(self.folder / name, limits.max_bytes)
            messages.append(raw)
            problems.append(problem)
            hashes.append(digest)
        return Rows([_shown(name) for name in self.names], hashes, problems, messages)


@dataclass(frozen=True, slots=True)
class MboxPart:
    """`rows` messages of an mbox, between two places of the file; ids are its name and a number from 1."""

    file: Path
    name: str
    start: int
    end: int
    first: int
    rows: int

    def read(self, limits: Limits) -> Rows:
        """Returns the messages, each cut to a byte more than is read of it."""
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            content = io.BufferedReader(_Stretch(stream, self.end - self.start))
            messages = list(mailboxes.split(content, limits.max_bytes))
        return Rows(
            ids=[f"{_shown(self.name)}#{self.first + at}" for at in range(1, len(messages) + 1)],
            sha256=[hashlib.sha256(raw).hexdigest() for raw in messages],
            problems=[None] * len(messages),
            messages=messages,
        )


def mbox_parts(file: Path, name: str, part_rows: int) -> Iterator[MboxPart]:
    """Yields the parts of an mbox with `part_rows` messages each; `name` is what ids begin with."""
    with file.open("rb") as stream:
        begun, number = mailboxes.starts(stream), 0
        start = next(begun, None)
        while start is not None:
            further = list(itertools.islice(begun, part_rows))
            full = len(further) == part_rows
            rows = part_rows if full else len(further) + 1
            end = further[-1] if full else stream.seek(0, io.SEEK_END)
            yield MboxPart(file, name, start, end, number, rows)
            start, number = end if full else None, number + rows


def file_parts(folder: Path, names: Sequence[str], part_rows: int) -> Iterator[FilesPart]:
    """Yields the parts of a folder with `part_rows` files each."""
    for first in range(0, len(names), part_rows):
        yield FilesPart(folder, tuple(names[first : first + part_rows]))


class _Stretch(io.RawIOBase):
    """A stream that ends after `size` bytes of another."""

    def __init__(self, stream: io.BufferedReader, size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _message(path: Path, max_bytes: int) -> tuple[bytes, Problem | None, str | None]:
    if path.is_symlink() or not path.is_file():
        return b"", Problem.NOT_A_FILE, None
    try:
        with path.open("rb") as content:
            raw = content.read(max_bytes + 1)
        digest = hashlib.sha256(raw).hexdigest() if len(raw) <= max_bytes else sha256_of(path)
    except OSError:
        return b"", Problem.UNREADABLE, None
    return raw, None, digest


def _shown(name: str) -> str:
    """Returns a file name as valid text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
