"""The structure of a message: where its headers end, and which leaf parts it holds.

A reader of our own, and not the standard library's: that one has no limits, asks every open multipart about
every line (so nested multiparts cost time squared, and 1,000 levels end in a RecursionError), and costs three
times as much (29 against 87 µs, median of the corpus). `tests/feature_repo/test_message_mime_agrees.py`
holds the two against each other.

Work is linear in the bytes: each level of nesting is scanned once, and levels are limited.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from feature_repo.defects import Defect, Defects

# What a header line may begin with, as the standard library's parser has it; "From " and ">From " are the
# separators of mbox files.
_HEADER_BLOCK: Final = re.compile(rb"(?:(?:[!-9;-~]*+:|[ \t]|>?From )[^\n]*+(?:\n|\Z))*+")
# Only these headers are ever looked at: what is not read cannot leak into a feature.
_READ_HEADERS: Final = re.compile(
    rb"^(subject|from|to|cc|reply-to|date|content-type|content-transfer-encoding|content-disposition):"
    rb"([^\n]*+(?:\n[ \t][^\n]*+)*+)",
    re.IGNORECASE | re.MULTILINE,
)
_TYPE: Final = re.compile(r"\s*+([\w.+-]+/[\w.+-]+)\s*+(?:;|\Z|\s)", re.ASCII)
_PARAMETER: Final = re.compile(r";\s*+([\w-]+)\*?\s*+=\s*+(?:\"((?:[^\"\\]|\\.)*+)\"?|([^\s;]*+))", re.ASCII)
_MAX_CONTENT_TYPE: Final = 2_000
_PLAIN: Final = "text/plain"
_DELIMITER_END: Final = re.compile(rb"(--)?[ \t]*+(?:\n|\Z)")

Headers = dict[bytes, list[bytes]]
"""Values of the headers that are read, still encoded, by lower-case name, in order of appearance."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that holds no parts: its type in lower case, how it is encoded, its bytes from `start` to `end`.

    `alternative` numbers the outermost multipart/alternative around it; leaves of one number are versions
    of the same content.
    """

    kind: str
    charset: str
    encoding: str
    is_attachment: bool
    alternative: int | None
    start: int
    end: int


class ContentType(NamedTuple):
    """What a Content-Type header says; `kind` is empty where it says nothing that can be read."""

    kind: str
    charset: str
    boundary: str


@lru_cache(maxsize=256)
def content_type(value: bytes) -> ContentType:
    """Returns type/subtype in lower case, charset and boundary of a Content-Type value."""
    text = value[:_MAX_CONTENT_TYPE].decode("latin-1").replace("\n", "")
    found = _TYPE.match(text)
    parameters: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(text):
        parameters.setdefault(name.lower(), quoted or bare)
    return ContentType(
        found[1].lower() if found else "",
        parameters.get("charset", "").strip().lower(),
        parameters.get("boundary", "").rstrip(),
    )


class _Place(NamedTuple):
    """Where a part lies: its bytes, how deep, and inside which multipart/alternative."""

    start: int
    end: int
    depth: int = 1
    alternative: int | None = None

    def inside(self, start: int, end: int) -> "_Place":
        """Returns the place of a part of this part."""
        return self._replace(start=start, end=end, depth=self.depth + 1)


class Reader:
    """Reads one message: `headers` of its top level, `leaves` in order, and the defects met.

    `buffer` has LF line ends. Parts beyond `max_parts` or deeper than `max_depth` are not read.
    """

    def __init__(self, buffer: bytes, *, max_parts: int, max_depth: int, defects: Defects) -> None:
        self._buffer = buffer
        self._max_parts = max_parts
        self._max_depth = max_depth
        self._defects = defects
        self._alternatives = 0
        self.leaves: list[Leaf] = []
        self.headers, body = self._read_headers(0, len(buffer))
        self._read_entity(self.headers, _Place(body, len(buffer)))

    def _read_headers(self, start: int, end: int) -> tuple[Headers, int]:
        block = _HEADER_BLOCK.match(self._buffer, start, end)
        stop = block.end() if block else start
        headers: Headers = {}
        for name, value in _READ_HEADERS.findall(self._buffer, start, stop):
            headers.setdefault(name.lower(), []).append(value)
        if stop < end:
            if self._buffer[stop] == 10:  # noqa: PLR2004 - a line feed: the empty line after the headers
                stop += 1
            elif stop > start:
                self._defects[Defect.NO_SEPARATOR] += 1
        return headers, stop

    def _read_entity(self, headers: Headers, place: _Place, default: str = _PLAIN) -> None:
        kind, charset, boundary = self._content_type(headers, default)
        disposition = headers.get(b"content-disposition")
        attached = disposition is not None and disposition[0].strip()[:10].lower() == b"attachment"
        holds_parts = kind.startswith("multipart/") or (kind == "message/rfc822" and not attached)
        if holds_parts and place.depth > self._max_depth:
            self._defects[Defect.TOO_DEEP] += 1
            return
        if holds_parts and self._read_parts(kind, boundary, place):
            return
        if holds_parts:
            self._defects[Defect.NO_BOUNDARY] += 1
            kind = _PLAIN
        if len(self.leaves) >= self._max_parts:
            self._defects[Defect.TOO_MANY_PARTS] += 1
            return
        encoding = headers.get(b"content-transfer-encoding", [b""])[0].strip().lower().decode("latin-1")
        self.leaves.append(
            Leaf(
                kind=kind,
                charset=charset,
                encoding=encoding,
                is_attachment=attached or not kind.startswith("text/"),
                alternative=place.alternative,
                start=place.start,
                end=place.end,
            )
        )

    def _content_type(self, headers: Headers, default: str) -> ContentType:
        value = headers.get(b"content-type")
        if value is None:
            return ContentType(default, "", "")
        found = content_type(value[0][:_MAX_CONTENT_TYPE])
        if found.kind:
            return found
        self._defects[Defect.CONTENT_TYPE] += 1
        return found._replace(kind=_PLAIN)

    def _read_parts(self, kind: str, boundary: str, place: _Place) -> bool:
        """Reads the parts of a multipart or of a forwarded message; False if the boundary never comes."""
        if kind == "message/rfc822":
            headers, body = self._read_headers(place.start, place.end)
            self._read_entity(headers, place.inside(body, place.end))
            return True
        if kind == "multipart/alternative" and place.alternative is None:
            self._alternatives += 1
            place = place._replace(alternative=self._alternatives)
        default = "message/rfc822" if kind == "multipart/digest" else _PLAIN
        delimiter = b"--" + boundary.encode("latin-1")
        found = False
        for start, end in self._segments(delimiter, place.start, place.end) if boundary else ():
            found = True
            if len(self.leaves) >= self._max_parts:
                self._defects[Defect.TOO_MANY_PARTS] += 1
                break
            headers, body = self._read_headers(start, end)
            self._read_entity(headers, place.inside(body, end), default)
        return found

    def _segments(self, delimiter: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        buffer = self._buffer
        line_start = b"\n" + delimiter
        # The search begins at the line end before `start`: a delimiter may be the very first line.
        position = buffer.find(line_start, max(start - 1, 0), end)
        part_start = -1
        while position != -1:
            line_end = _DELIMITER_END.match(buffer, position + len(line_start), end)
            if line_end is None:
                position = buffer.find(line_start, position + 1, end)
                continue
            if part_start != -1:
                yield part_start, max(position, part_start)
            part_start = line_end.end()
            if line_end[1]:
                return
            position = buffer.find(line_start, part_start - 1, end)
        if part_start != -1:
            self._defects[Defect.UNCLOSED_MULTIPART] += 1
            yield part_start, end
