"""HTML to the text that a reader sees, with what was hidden from them counted.

selectolax (lexbor) builds the tree; docs/message-features.md holds the measurement that chose it. Lexbor
takes time squared in the nesting depth and in the attributes of one tag, so long documents are rendered in
pieces of bounded size: time is then linear, whatever the markup.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

from feature_repo.defects import Defect, Defects

MAX_CHARACTERS: Final = 512 << 10
"""Characters of one HTML part that are rendered; 20,000 tokens are long full by then."""
PIECE_CHARACTERS: Final = 32 << 10
"""Characters of markup that are given to the parser at once, at most."""
PIECE_TAGS: Final = 2_000
"""Tags that are given to the parser at once, at most."""
MAX_LINKS: Final = 1_000

# Elements that end a word. All others stand inside a line: V<b>i</b>agra is one word to the eye.
_BLOCK: Final = re.compile(
    r"<(?=/?(?:p|br|div|td|tr|th|table|li|ul|ol|dl|dt|dd|h[1-6r]|center|blockquote|pre|option|img|input"
    r"|body|title|form|textarea|button|select|section|article|header|footer|nav|marquee)[\s/>])",
    re.IGNORECASE,
)
_RAW_TEXT: Final = re.compile(r"<(script|style|title|template|noframes)\b", re.IGNORECASE)
_RAW_TEXT_END: Final = {
    name: re.compile(rf"</{name}[^>]{{0,100}}>", re.IGNORECASE)
    for name in ("script", "style", "title", "template", "noframes")
}
_HIDING: Final = re.compile(
    r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden|mso-hide\s{0,9}:\s{0,9}all"
    r"|opacity\s{0,9}:\s{0,9}0(?![.\d]*[1-9])|font-size\s{0,9}:\s{0,9}0(?![.\d]*[1-9])",
    re.IGNORECASE,
)
_HIDING_WORDS: Final = ("display", "visibility", "mso-hide", "opacity", "font-size", " hidden")
_LINK: Final = re.compile(r"href\s*+=\s*+[\"']?\s*+(https?://[^\s\"'<>]{1,2000})")
_DOCUMENT: Final = re.compile(r"\s*+(?:<!doctype html|<html[\s>]|<head>|<body[\s>])", re.IGNORECASE)


class Rendered(NamedTuple):
    """What a reader sees of an HTML part, and how much was kept from their eyes."""

    text: str
    hidden_characters: int
    links: tuple[str, ...]
    images: int
    forms: int


def is_document(text: str) -> bool:
    """Returns True if `text` begins like an HTML document."""
    return "<" in text[:2000] and _DOCUMENT.match(text) is not None


def rendered(html: str, defects: Defects) -> Rendered:
    """Returns the visible text of `html`, its links and the number of its hidden characters.

    Hidden are comments, and elements that are not displayed, invisible, transparent or of size 0 by their own
    attributes. Style sheets are not applied.
    """
    if len(html) > MAX_CHARACTERS:
        defects[Defect.HTML_TOO_LONG] += 1
        html = html[:MAX_CHARACTERS]
    html, hidden = _without_comments(html)
    html = _without_raw_text(html)
    lower = html.lower()
    links = tuple(_LINK.findall(lower)[:MAX_LINKS])
    images = lower.count("<img")
    forms = lower.count("<form") + lower.count("<input")
    hides = any(word in lower for word in _HIDING_WORDS)
    texts = []
    for piece in _pieces(_BLOCK.sub("\n<", html)):
        body = LexborHTMLParser(piece).body
        if body is None:
            continue
        if hides:
            text, characters = _visible(body)
            hidden += characters
        else:
            text = body.text(deep=True)
        texts.append(text)
    return Rendered("".join(texts), hidden, links, images, forms)


def _without_comments(html: str) -> tuple[str, int]:
    """Returns `html` without comments, and their characters; those of mail programs count nothing."""
    if "<!--" not in html:
        return html, 0
    first, *rest = html.split("<!--")
    kept = [first]
    characters = 0
    for comment in rest:
        inside, end, after = comment.partition("-->")
        if not inside.startswith(("[if", "[endif", "<![")):
            characters += len(inside.strip())
        kept.append(after if end else "")
    return "".join(kept), characters


def _without_raw_text(html: str) -> str:
    """Returns `html` without scripts, style sheets and titles: no one reads them.

    One that is never closed stays: lexbor then hides the rest, as a browser does.
    """
    kept = []
    unclosed: set[str] = set()
    position = 0
    for opening in _RAW_TEXT.finditer(html):
        name = opening[1].lower()
        if opening.start() < position or name in unclosed:
            continue
        closing = _RAW_TEXT_END[name].search(html, opening.end())
        if closing is None:
            unclosed.add(name)
            continue
        kept.append(html[position : opening.start()])
        position = closing.end()
    kept.append(html[position:])
    return "".join(kept)


def _pieces(html: str) -> Iterator[str]:
    if len(html) <= PIECE_CHARACTERS and html.count("<") <= PIECE_TAGS:
        yield html
        return
    start = end = tags = 0
    for tag in re.finditer("<", html):
        tags += 1
        if tags > PIECE_TAGS or tag.start() - start > PIECE_CHARACTERS:
            cut = end if end > start else tag.start()
            yield from _cut(html[start:cut])
            start, tags = cut, 1 + (cut == end)
        end = tag.start()
    yield from _cut(html[start:])


def _cut(piece: str) -> Iterator[str]:
    for start in range(0, len(piece), PIECE_CHARACTERS):
        yield piece[start : start + PIECE_CHARACTERS]


def _visible(body: LexborNode) -> tuple[str, int]:
    """Returns the text below `body` without hidden elements, and the characters in those."""
    hiding = {
        node.mem_id
        for node in body.css("[style],[hidden]")
        if "hidden" in node.attributes or _HIDING.search(node.attributes.get("style") or "")
    }
    texts: list[str] = []
    hidden = 0
    node: LexborNode | None = body
    while node is not None:
        below = None
        if node.is_text_node:
            texts.append(node.text_content or "")
        elif node.mem_id in hiding:
            hidden += len("".join(node.text(deep=True).split()))
        else:
            below = node.first_child
        if below is None:
            while node is not None and node.mem_id != body.mem_id and node.next is None:
                node = node.parent
            below = None if node is None or node.mem_id == body.mem_id else node.next
        node = below
    return "".join(texts), hidden
