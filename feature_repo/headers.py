"""The values of the few headers that are read: encoded words, addresses, the date.

Every function here takes hostile input: nothing raises, and every expression is bounded, so that time grows
linearly with the length of the header.
"""

import binascii
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz
from typing import Final, NamedTuple

from feature_repo.charsets import codec, decode
from feature_repo.defects import Defect, Defects

MAX_SUBJECT: Final = 10_000
"""Bytes of a subject or a From header that are read."""
MAX_ADDRESSES: Final = 256 << 10
"""Bytes of a To or Cc header that are read."""
MAX_ADDRESS: Final = 320
"""Characters of an address: 64 before the @ and 255 after it (RFC 5321)."""

_ENCODED_WORD: Final = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^\n]{0,400}?)\?=")
_BETWEEN_WORDS: Final = re.compile(r"(\?=)\s++(?==\?[^?\s]{1,60}\?[bBqQ]\?)")
_FOLD: Final = re.compile(rb"\n[ \t]*+")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_QUOTED: Final = re.compile(r"\"((?:[^\"\\]|\\.){0,300})\"")
_COMMENT: Final = re.compile(r"\(([^()]{0,300})\)")
_ANGLE: Final = re.compile(r"<\s*+([^<>]{0,400})>")
_ADDRESS: Final = re.compile(r"[^\s<>,;:\"()\[\]@]{1,255}+@[^\s<>,;:\"()@]{1,255}")
_FIRST_YEAR: Final = 1990
_LAST_YEAR: Final = 2100
_MAX_DATE: Final = 100
_DAY_SECONDS: Final = 24 * 3600


class Mailbox(NamedTuple):
    """One address in lower case and the name shown with it; either may be empty."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The part of the address after the @."""
        return self.address.rpartition("@")[2]


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
    address = found[0] if found else ""
    name = _name(raw, address, has_angle=angle is not None)
    if "=?" in name:
        name = decode_words(name, defects)
    return Mailbox(_CONTROLS.sub(" ", name).strip(), _clean_address(address))


def _name(raw: str, address: str, *, has_angle: bool) -> str:
    if has_angle:
        before = raw.partition("<")[0] if '"' not in raw else _ANGLE.split(raw, maxsplit=1)[0]
        quoted = _QUOTED.search(before)
        return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else before.strip()
    comment = _COMMENT.search(raw)
    if comment:
        return comment[1].strip()
    return "" if address else raw


def addresses(values: list[bytes], defects: Defects) -> tuple[str, ...]:
    """Returns the addresses of To and Cc headers in lower case, in order, each as often as it stands."""
    found: list[str] = []
    for value in values:
        raw = unfolded(value, defects, MAX_ADDRESSES)
        if '"' in raw:
            raw = _QUOTED.sub(" ", raw)
        if "(" in raw:
            raw = _COMMENT.sub(" ", raw)
        found += map(_clean_address, _ADDRESS.findall(raw))
    return tuple(found)


def _clean_address(address: str) -> str:
    if len(address) > MAX_ADDRESS:
        return ""
    return _CONTROLS.sub("", address).lower().strip(".'")


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
