"""The values of the few headers that are read: encoded words, addresses, the date.

Every function here takes hostile input: nothing raises, and every expression is bounded, so that time grows
linearly with the length of the header.
"""

import binascii
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz
from typing import Final, NamedTuple

from feature_repo.addresses import address
from feature_repo.charsets import codec, decode
from feature_repo.defects import Defect, Defects

MAX_SUBJECT: Final = 10_000
"""Bytes of a subject or a From header that are read."""
MAX_ADDRESSES: Final = 128 << 10
"""Bytes of a To or Cc header that are read."""

_ENCODED_WORD: Final = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^\n]{0,400}?)\?=")
_BETWEEN_WORDS: Final = re.compile(r"(\?=)\s++(?==\?[^?\s]{1,60}\?[bBqQ]\?)")
_FOLD: Final = re.compile(rb"\n[ \t]*+")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_QUOTED: Final = re.compile(r"\"((?:[^\"\\]|\\.){0,120})\"(?!@)")
# `<Undisclosed Recipients@host>`: a server put its own name behind what is no address.
_NO_ADDRESS: Final = re.compile(r"<[ \t]{0,9}[^\s<>]{1,200}[ \t]{1,9}[^\s<>][^<>]{0,200}>")
_ESCAPED: Final = re.compile(r"\\(.)")
_COMMENT: Final = re.compile(r"\(([^()]{0,300})\)")
_ANGLE: Final = re.compile(r"<\s*+([^<>]{0,400})>")
# The local part may be quoted; where two @ stand in one address, the last one begins the domain.
_ADDRESS: Final = re.compile(
    r"(?:\"[^\"\s]{1,64}\"|[^\s<>,;:\"()\[\]@]{1,255}+)(?:@[^\s<>,;:\"()@]{1,255}){1,2}"
)
_FIRST_YEAR: Final = 1990
_LAST_YEAR: Final = 2100
_MAX_DATE: Final = 100
_DAY_SECONDS: Final = 24 * 3600


class Mailbox(NamedTuple):
    """One address in lower case and the name shown with it; either may be empty."""

    name: str
    address: str


def text_of(value: bytes, defects: Defects) -> str:
    """Returns a header value as text on one line, encoded words (RFC 2047) decoded, without controls."""
    raw = unfolded(value, defects, MAX_SUBJECT)
    if "=?" in raw:
        raw = decode_words(raw, defects)
    return _CONTROLS.sub(" ", raw).strip()


def unfolded(value: bytes, defects: Defects, limit: int) -> str:
    """Returns a header value on one line, cut at `limit` bytes; raw 8-bit characters are guessed."""
    if len(value) > limit:
        defects[Defect.HEADER_TOO_LONG] += 1
        value = value[:limit]
    if b"\n" in value:
        value = _FOLD.sub(b" ", value)
    if value.isascii():
        return value.decode("ascii").strip()
    defects[Defect.RAW_HEADER] += 1
    return decode(value, "utf-8", Defects()).strip()


def decode_words(raw: str, defects: Defects) -> str:
    """Returns `raw` with its encoded words decoded; white space between two of them vanishes.

    Neighbours of one charset and encoding are joined before they are decoded, because mailers cut
    multi-byte characters between words.
    """
    pieces: list[str] = []
    held: list[bytes] = []
    held_charset = ""
    position = 0
    raw = _BETWEEN_WORDS.sub(r"\1", raw)
    for match in _ENCODED_WORD.finditer(raw):
        charset, encoding, content = match.groups()
        if held and (match.start() != position or charset.lower() != held_charset):
            pieces.append(_decoded_word(held, held_charset, defects))
            held = []
        pieces.append(raw[position : match.start()])
        position = match.end()
        held_charset = charset.lower()
        held.append(_word_bytes(content, encoding, defects))
    if held:
        pieces.append(_decoded_word(held, held_charset, defects))
    pieces.append(raw[position:])
    return "".join(pieces)


def _decoded_word(held: list[bytes], charset: str, defects: Defects) -> str:
    if codec(charset) is None:
        defects[Defect.ENCODED_WORD] += 1
        return decode(b"".join(held), "utf-8", Defects())
    return decode(b"".join(held), charset, defects)


def _word_bytes(content: str, encoding: str, defects: Defects) -> bytes:
    data = content.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    try:
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4))
    except binascii.Error:
        defects[Defect.ENCODED_WORD] += 1
        return b""


def mailbox(value: bytes, defects: Defects) -> Mailbox:
    """Returns the first mailbox of a From or Reply-To header.

    A header without an address in it is counted, and its text becomes the name.
    """
    raw = unfolded(value, defects, MAX_SUBJECT)
    bare = _QUOTED.sub(" ", raw) if '"' in raw else raw
    angle = _ANGLE.search(bare)
    found = _ADDRESS.search(angle[1] if angle else _COMMENT.sub(" ", bare))
    if found is None:
        defects[Defect.ADDRESS] += 1
    name = _name(raw, has_angle=angle is not None, has_address=found is not None)
    if "=?" in name:
        name = decode_words(name, defects)
    return Mailbox(_CONTROLS.sub(" ", name).strip(), address(found[0] if found else "").sender)


def _name(raw: str, *, has_angle: bool, has_address: bool) -> str:
    if has_angle:
        before = raw.partition("<")[0] if '"' not in raw else _ANGLE.split(raw, maxsplit=1)[0]
        return _ESCAPED.sub(r"\1", _QUOTED.sub(r"\1", before))
    comment = _COMMENT.search(raw)
    if comment:
        return comment[1]
    return "" if has_address else raw


def addresses(values: list[bytes], defects: Defects) -> tuple[str, ...]:
    """Returns the addresses of To and Cc headers in lower case, in order, each as often as it stands."""
    found: list[str] = []
    for value in values:
        raw = unfolded(value, defects, MAX_ADDRESSES)
        if '"' in raw:
            raw = _QUOTED.sub(" ", raw)
        if "(" in raw:
            raw = _COMMENT.sub(" ", raw)
        found += map(str.lower, _ADDRESS.findall(_NO_ADDRESS.sub(" ", raw)))
    return tuple(found)


def date_of(value: bytes) -> datetime | None:
    """Returns a Date header in UTC; None if it cannot be read or lies outside the years 1990 to 2100.

    A bad date is no defect: dates must not reach any feature.
    """
    try:
        parsed = parsedate_tz(_FOLD.sub(b" ", value[:_MAX_DATE]).decode("ascii", "replace"))
    except (ValueError, IndexError, TypeError, OverflowError):  # raised by the standard library on odd dates
        return None
    if parsed is None or not _FIRST_YEAR <= parsed[0] <= _LAST_YEAR:
        return None
    offset = parsed[9] or 0
    if abs(offset) > _DAY_SECONDS:
        return None
    try:
        local = datetime(*parsed[:5], min(parsed[5], 59), tzinfo=UTC)
    except ValueError:
        return None
    return local - timedelta(seconds=offset)
