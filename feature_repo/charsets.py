"""Bytes to text when the declared charset may lie."""

import re
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

from feature_repo.defects import Defect, Defects

# Python's own codecs that are not charsets of mail: some map text to text, some are a door for attacks
# (punycode decodes in quadratic time, the escapes read source code).
_NOT_CHARSETS: Final = frozenset(
    {
        "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec",
        "mbcs", "oem", "idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined",
    }
)  # fmt: skip
_CHARSETS: Final = {name: name for name in aliases.values()} | aliases
# A mail that says one of these is read as its superset, as every browser does (WHATWG Encoding).
_LATIN: Final = frozenset({"ascii", "latin_1", "iso8859_1", "cp1252"})
# Escape sequences make these 7-bit: pure ASCII bytes may still be another script.
_SEVEN_BIT: Final = ("iso2022", "utf_7", "hz", "utf_16", "utf_32")
_NOT_WORD: Final = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=256)
def codec(charset: str) -> str | None:
    """Returns the name of Python's codec for a charset of mail, or None if there is none.

    The table is looked up here, and never by `codecs.lookup`: that remembers every unknown name for ever.
    """
    name = _NOT_WORD.sub("_", charset[:40].lower()).strip("_")
    found = _CHARSETS.get(name) or _CHARSETS.get(name.replace("windows_", "cp").replace("_", ""))
    if found is None or found in _NOT_CHARSETS:
        return None
    return found


def decode(payload: bytes, charset: str, defects: Defects) -> str:
    """Returns `payload` as text: by its charset if that fits, else as UTF-8, else as Windows-1252.

    A charset that fits nine characters in ten fits, unless the bytes are UTF-8. An empty `charset` means that
    none was declared. A charset that does not exist or does not fit is counted. The result holds no lone
    surrogates.
    """
    name = codec(charset) if charset else "ascii"
    if payload.isascii() and not (name or "").startswith(_SEVEN_BIT):
        if name is None:
            defects[Defect.CHARSET] += 1
        return payload.decode("ascii")
    if name is not None and name not in _LATIN:
        try:
            return _without_surrogates(payload.decode(name))
        except UnicodeError:
            defects[Defect.CHARSET] += 1
            return _utf8(payload) or _mostly(payload, name) or _windows(payload)
    # Latin charsets accept any bytes, so valid UTF-8 with 8-bit characters in it contradicts them.
    if name in {None, "ascii"}:
        defects[Defect.CHARSET] += 1
        return _guess(payload)
    text = _utf8(payload)
    if text is not None:
        defects[Defect.CHARSET] += 1
        return text
    return _windows(payload)


def _guess(payload: bytes) -> str:
    text = _utf8(payload)
    return _windows(payload) if text is None else text


def _mostly(payload: bytes, name: str) -> str | None:
    """Returns `payload` by its charset if no more than one character in ten is broken."""
    text = _without_surrogates(payload.decode(name, "replace"))
    return text if text.count("\ufffd") * 10 <= len(text) else None


def _without_surrogates(text: str) -> str:
    # UTF-7 lets lone surrogates through.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _utf8(payload: bytes) -> str | None:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _windows(payload: bytes) -> str:
    try:
        return payload.decode("cp1252")
    except UnicodeDecodeError:
        return payload.decode("latin-1")
