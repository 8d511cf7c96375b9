"""The same raw message after an evasion: what a sender can do without changing what a reader sees.

Each takes raw bytes and the words that are typical of wanted mail, and gives raw bytes; equal input gives
equal output. Text parts are rewritten in UTF-8; attachments and all other headers stay.

Sources: good words are the attack of Lowd and Meek, "Good Word Attacks on Statistical Spam Filters", CEAS
2005; the others are in J. Graham-Cumming's "The Spammers' Compendium".
"""

import base64
import html
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from email import message_from_bytes
from email.header import Header
from email.message import Message
from email.policy import Compat32
from typing import Final

import numpy as np
from numpy.typing import NDArray

GOOD_WORDS: Final = 100
"""Words that padding adds."""

_PLAIN_WORD: Final = re.compile(r"[a-z]{4,}")
_WORD: Final = re.compile(r"[A-Za-z]{4,}")
# Tags, comments and character references of HTML: what is between them is what a reader sees.
_MARKUP: Final = re.compile(r"(<[^>]{0,4000}>|&#?\w{1,10};)")
_LOOKALIKES: Final = str.maketrans(
    "aeopcxiAEOPCX", "\u0430\u0435\u043e\u0440\u0441\u0445\u0456\u0410\u0415\u041e\u0420\u0421\u0425"
)
_ZERO_WIDTH: Final = "\u200b"


class _HeadersAsTheyCame(Compat32):
    """Writes a header that nobody changed byte for byte, where other policies fold and encode it anew."""

    def fold_binary(self, name: str, value: str) -> bytes:
        """Returns the header's lines."""
        return f"{name}: {value}{self.linesep}".encode("ascii", "surrogateescape")


_AS_THEY_CAME: Final = _HeadersAsTheyCame()

Evasion = Callable[[bytes, Sequence[str]], bytes]
Change = Callable[[str, bool], str]
"""The text of one part, and whether it is HTML, to another text."""


def typical_words(texts: NDArray[np.object_], wanted: NDArray[np.bool_]) -> tuple[str, ...]:
    """Returns the plain words that are most typical of wanted mail, by log odds of their document counts."""
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for text, is_wanted in zip(texts.tolist(), wanted.tolist(), strict=True):
        counts[is_wanted].update(set(text.split(" ")))
    yes, no = counts[True], counts[False]

    def odds(word: str) -> float:
        return float(np.log(yes[word] + 1) * 2 - np.log(no[word] + 1) * 2 + np.log(yes[word] + 1))

    words = [word for word in yes if _PLAIN_WORD.fullmatch(word)]
    return tuple(sorted(words, key=lambda word: (-odds(word), word))[:GOOD_WORDS])


def homoglyphs(raw: bytes, _words: Sequence[str]) -> bytes:
    """Returns the message with letters replaced by Cyrillic ones that look the same."""
    return _rewritten(raw, _outside_markup(_lookalikes), subject=_lookalikes)


def zero_width(raw: bytes, _words: Sequence[str]) -> bytes:
    """Returns the message with a character of no width in the middle of each longer word."""
    return _rewritten(raw, _outside_markup(_split), subject=_split)


def good_words(raw: bytes, words: Sequence[str]) -> bytes:
    """Returns the message with words of wanted mail before its text, for all to see.

    Not after it: there a mailing list's footer may stand, which is not the sender's and is not read.
    """
    padding = " ".join(words)

    def padded(text: str, is_html: bool) -> str:
        return f"<p>{padding}</p>\n{text}" if is_html else f"{padding}\n\n{text}"

    return _rewritten(raw, padded)


def html_hiding(raw: bytes, words: Sequence[str]) -> bytes:
    """Returns the message as HTML, its words cut by comments, with words of wanted mail that nobody sees."""
    hidden = f'<div style="display:none">{" ".join(words)}</div>'
    cut = _outside_markup(
        lambda text: _WORD.sub(lambda match: f"{match[0][:2]}<!-- x -->{match[0][2:]}", text)
    )

    def hiding(text: str, is_html: bool) -> str:
        page = text if is_html else html.escape(text).replace("\n", "<br>\n")
        return f"{hidden}\n{cut(page, True)}"

    return _rewritten(raw, hiding, to_html=True)


def base64_wrapping(raw: bytes, _words: Sequence[str]) -> bytes:
    """Returns the message with each text part in base64, which no simple filter reads."""
    return _rewritten(raw, lambda text, _is_html: text)


EVASIONS: Final[Mapping[str, Evasion]] = {
    "homoglyphs": homoglyphs,
    "zero_width": zero_width,
    "good_words": good_words,
    "html_hiding": html_hiding,
    "base64": base64_wrapping,
}
"""By the name under which reports show it."""


def _rewritten(
    raw: bytes, change: Change, *, subject: Callable[[str], str] | None = None, to_html: bool = False
) -> bytes:
    """Returns the message with `change` made to each text part, which is then UTF-8 in base64."""
    message = message_from_bytes(raw, policy=_AS_THEY_CAME)
    leaves = [part for part in message.walk() if _is_text(part)]
    for part in leaves:
        is_html = part.get_content_type() == "text/html"
        _set_text(part, change(_text(part), is_html), "html" if is_html or to_html else "plain")
    if subject is not None and message["Subject"]:
        plain = str(message["Subject"])
        if plain.isascii() and "=?" not in plain:
            message.replace_header("Subject", Header(subject(plain), "utf-8").encode(linesep="\n"))
    return message.as_bytes()


def _is_text(part: Message) -> bool:
    return part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment"


def _text(part: Message) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    try:
        return data.decode(part.get_content_charset("latin-1"), "replace")
    except LookupError:  # a charset that Python does not know
        return data.decode("latin-1")


def _set_text(part: Message, text: str, subtype: str) -> None:
    for name in ("Content-Type", "Content-Transfer-Encoding"):
        del part[name]
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(base64.encodebytes(text.encode("utf-8", "replace")).decode("ascii"))


def _outside_markup(change: Callable[[str], str]) -> Change:
    def changed(text: str, is_html: bool) -> str:
        if not is_html:
            return change(text)
        # The pattern has one group, so that every second piece is markup.
        pieces = _MARKUP.split(text)
        return "".join(piece if at % 2 else change(piece) for at, piece in enumerate(pieces))

    return changed


def _lookalikes(text: str) -> str:
    """Returns `text` with the look-alike letters of each longer word exchanged, but for its first letter."""
    return _WORD.sub(lambda match: match[0][0] + match[0][1:].translate(_LOOKALIKES), text)


def _split(text: str) -> str:
    return _WORD.sub(
        lambda match: match[0][: len(match[0]) // 2] + _ZERO_WIDTH + match[0][len(match[0]) // 2 :], text
    )
