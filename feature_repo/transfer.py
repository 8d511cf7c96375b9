"""Content-Transfer-Encoding undone, however broken it is."""

import binascii
import re
from typing import Final

from feature_repo.defects import Defect, Defects

_BASE64_CHARACTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_BASE64_AND_SPACE: Final = _BASE64_CHARACTERS + b" \t\n\r"
_NOT_BASE64: Final = bytes(set(range(256)) - set(_BASE64_CHARACTERS[:-1]))
_BASE64_LINES: Final = re.compile(rb"(?:[ \t]*+[A-Za-z0-9+/=]*+[ \t]*+(?:\n|\Z))*+")
_LONG_BASE64_LINE: Final = re.compile(rb"^[A-Za-z0-9+/=]{40}", re.MULTILINE)
_BROKEN_ESCAPE: Final = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*+(?:\n|\Z))")
_PLAIN: Final = frozenset({"", "7bit", "8bit", "binary"})


def decoded(payload: bytes, encoding: str, defects: Defects) -> bytes:
    """Returns the bytes that `payload` stands for; what cannot be decoded is counted and kept or dropped.

    `encoding` is the Content-Transfer-Encoding in lower case, empty if there was none; line ends are LF.
    """
    if encoding in _PLAIN:
        return payload
    if encoding == "quoted-printable":
        return quoted_printable(payload, defects)
    if encoding == "base64":
        return base64(payload, defects)
    defects[Defect.TRANSFER_ENCODING] += 1
    return payload


def quoted_printable(payload: bytes, defects: Defects) -> bytes:
    """Returns decoded quoted-printable; an equals sign that encodes nothing stays as it is."""
    if b"=" not in payload:
        return payload
    if _BROKEN_ESCAPE.search(payload):
        defects[Defect.QUOTED_PRINTABLE] += 1
    return binascii.a2b_qp(payload)


def base64(payload: bytes, defects: Defects) -> bytes:
    """Returns decoded base64.

    Readable lines after the last line of base64 are kept as they are: mailing lists append their footer
    there, and decoding it would make noise of it. Foreign characters elsewhere are dropped.
    """
    tail = b""
    if payload.translate(None, _BASE64_AND_SPACE):
        defects[Defect.BASE64] += 1
        end = _BASE64_LINES.match(payload).end()  # type: ignore[union-attr] # it matches the empty string
        if not _LONG_BASE64_LINE.search(payload, end):
            payload, tail = payload[:end], payload[end:]
    try:
        head = binascii.a2b_base64(payload)
    except binascii.Error:
        if not tail:
            defects[Defect.BASE64] += 1
        clean = payload.translate(None, _NOT_BASE64)
        clean = clean[: len(clean) - (len(clean) % 4 == 1)]
        head = binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
    return head + b"\n" + tail if tail else head
