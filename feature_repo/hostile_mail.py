"""Messages made to be slow: each kind in any size, for the tests and for the measurement of linear time."""

from collections.abc import Callable
from typing import Final


def _filled(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def _header(name: str, unit: str) -> Callable[[int], bytes]:
    return lambda size: f"{name}: {_filled(unit, size)}\n\nbody".encode()


def _body(kind: str, unit: str) -> Callable[[int], bytes]:
    return lambda size: f"Content-Type: {kind}; charset=utf-8\n\n{_filled(unit, size)}".encode()


def _multipart(unit: str) -> Callable[[int], bytes]:
    return lambda size: f"Content-Type: multipart/mixed; boundary=b\n\n{_filled(unit, size)}".encode()


def _nested(size: int) -> bytes:
    levels = size // 60
    lines = (f"Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n" for level in range(levels))
    return "".join(lines).encode()


def _encoded(encoding: str, unit: str) -> Callable[[int], bytes]:
    return lambda size: f"Content-Transfer-Encoding: {encoding}\n\n{_filled(unit, size)}".encode()


HOSTILE: Final[dict[str, Callable[[int], bytes]]] = {
    "recipients": _header("To", "someone@host.example, "),
    "recipients without end": _header("To", "a@"),
    "quotes in To": _header("To", '"\\'),
    "escaped quotes in To": _header("To", '\\"'),
    "brackets in To": _header("To", "<("),
    "blanks in To": _header("To", "< a "),
    "at signs in From": _header("From", "@"),
    "encoded words": _header("Subject", "=?a?q?"),
    "tags in the subject": _header("Subject", "[x] Re: "),
    "parameters": _header("Content-Type", ";a="),
    "quoted parameters": _header("Content-Type", ';a="\\'),
    "headers": lambda size: _filled("X-Header: value\n", size).encode(),
    "one long header": lambda size: b"X" * size,
    "folded header": _header("Subject", "x\n "),
    "nested multiparts": _nested,
    "many parts": _multipart("--b\n\nx\n"),
    "empty multiparts": _multipart("--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n"),
    "boundaries that are none": _multipart("--b-\n"),
    "forwarded messages": lambda size: _filled("Content-Type: message/rfc822\n\n", size).encode(),
    "base64 lines": _encoded("base64", "QUJD\n"),
    "broken base64": _encoded("base64", "A*\n="),
    "broken quoted-printable": _encoded("quoted-printable", "= = "),
    "words": _body("text/plain", "word "),
    "one word": _body("text/plain", "a"),
    "capitals": _body("text/plain", "AAAA AAA "),
    "addresses": _body("text/plain", "a@b "),
    "at signs": _body("text/plain", "@"),
    "one address": _body("text/plain", "a.@"),
    "links": _body("text/plain", "http://a "),
    "schemes": _body("text/plain", "http://"),
    "full stops": _body("text/plain", "a."),
    "rules of a footer": _body("text/plain", "--------\n"),
    "footers": _body("text/plain", "________\nmailing list\n"),
    "quoted rules": _body("text/plain", "> > > >---------x"),
    "combining marks": _body("text/plain", "\u0301\u0327"),
    "expanding letters": _body("text/plain", "\ufdfa"),
    "mixed scripts": _body("text/plain", "p\u0430ypal "),
    "one mixed word": _body("text/plain", "a\u0430"),
    "joiners": _body("text/plain", "a\u200c\u200c"),
    "symbols": _body("text/plain", "\u2603a"),
    "nested blocks": _body("text/html", "<div>"),
    "nested formats": _body("text/html", "<i><b><u><s><em><div>"),
    "hidden elements": _body("text/html", "<b style='display:none'>x"),
    "hidden siblings": _body("text/html", "<b hidden>x</b>"),
    "attributes": lambda size: (
        b"Content-Type: text/html\n\n<p " + b" ".join(b"a%x=1" % number for number in range(size // 8)) + b">"
    ),
    "open tag": _body("text/html", "<a href='"),
    "open comments": _body("text/html", "<!--"),
    "comments": _body("text/html", "<!-- x -->y"),
    "open scripts": _body("text/html", "<script>"),
    "styles": _body("text/html", "<style>x</style>"),
    "blanks in links": _body("text/html", "href  ="),
    "entities": _body("text/html", "&amp;"),
    "tables": _body("text/html", "<table><tr><td>x"),
    "closing tags": _body("text/html", "<div></p>"),
    "angle brackets": _body("text/html", "<"),
}
"""How to make a message of each kind, of about so many bytes."""
