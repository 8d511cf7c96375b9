"""The leaf parts of a message to the one text that a reader sees."""

import re
from typing import Final, NamedTuple

from feature_repo.charsets import decode
from feature_repo.defects import Defect, Defects
from feature_repo.html_text import MAX_LINKS, Rendered, is_document, rendered
from feature_repo.mime import Leaf
from feature_repo.transfer import decoded

_WEB_LINK: Final = re.compile(r"https?://[^\s<>\"']{1,2000}")
_MARKUP: Final = re.compile(r"<[^<>]{0,200}>")
_PLAIN: Final = "text/plain"
_HTML: Final = "text/html"
_MARKED_UP: Final = ("text/enriched", "text/richtext")
_META_CHARSET: Final = re.compile(
    rb"<meta[^>]{0,200}charset\s{0,9}=\s{0,9}[\"']?([\w-]{1,40})", re.IGNORECASE
)
_META_BYTES: Final = 1024


class Body(NamedTuple):
    """What is seen of all parts together; characters are counted without blanks and line ends."""

    text: str
    text_characters: int
    html_characters: int
    hidden_characters: int
    links: tuple[str, ...]
    images: int
    forms: int


class _Shown(NamedTuple):
    leaf: Leaf
    is_html: bool
    part: Rendered


def visible(buffer: bytes, leaves: list[Leaf], defects: Defects) -> Body:
    """Returns what a reader sees of the text parts of a message; attachments are not opened.

    Of alternative versions the HTML one is shown, if there is anything in it, as mail programs do.
    """
    shown = [part for leaf in leaves if not leaf.is_attachment and (part := _show(buffer, leaf, defects))]
    with_html = {item.leaf.alternative for item in shown if item.is_html and item.part.text.strip()} - {None}
    shown = [item for item in shown if item.is_html or item.leaf.alternative not in with_html]
    lengths = [(item.is_html, _visible_characters(item.part.text)) for item in shown]
    return Body(
        text="\n".join(item.part.text for item in shown),
        text_characters=sum(length for _, length in lengths),
        html_characters=sum(length for is_html, length in lengths if is_html),
        hidden_characters=sum(item.part.hidden_characters for item in shown),
        links=tuple(link for item in shown for link in item.part.links),
        images=sum(item.part.images for item in shown),
        forms=sum(item.part.forms for item in shown),
    )


def _visible_characters(text: str) -> int:
    return len(text) - text.count(" ") - text.count("\n") - text.count("\t")


def _show(buffer: bytes, leaf: Leaf, defects: Defects) -> _Shown | None:
    if leaf.kind not in {_PLAIN, _HTML, *_MARKED_UP}:
        return None
    payload = decoded(buffer[leaf.start : leaf.end], leaf.encoding, defects)
    charset = leaf.charset
    if leaf.kind == _HTML and not charset and (meta := _META_CHARSET.search(payload, 0, _META_BYTES)):
        charset = meta[1].decode("ascii")
    text = decode(payload, charset, defects)
    if leaf.kind == _HTML:
        return _Shown(leaf, True, rendered(text, defects))
    if is_document(text):
        defects[Defect.HTML_AS_PLAIN] += 1
        return _Shown(leaf, True, rendered(text, defects))
    if leaf.kind in _MARKED_UP:
        text = _MARKUP.sub("", text)
    return _Shown(leaf, False, Rendered(text, 0, tuple(_WEB_LINK.findall(text.lower())[:MAX_LINKS]), 0, 0))
