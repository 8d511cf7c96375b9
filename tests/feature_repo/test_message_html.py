"""HTML to text: what the eye sees comes out, what is hidden is counted, and the work stays bounded."""

import pytest

from feature_repo import html_text
from feature_repo.defects import Defect, Defects
from feature_repo.html_text import MAX_CHARACTERS, PIECE_CHARACTERS, PIECE_TAGS, rendered


def seen(html: str) -> str:
    """Returns the visible words of `html`."""
    return " ".join(rendered(html, Defects()).text.split())


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<p>one</p><p>two</p>", "one two"),
        ("one<br>two<BR/>three", "one two three"),
        ("<table><tr><td>one</td><td>two</td></tr></table>", "one two"),
        ("<ul><li>one<li>two</ul>", "one two"),
        ("V<b>i</b>ag<font size=2>r</font>a", "Viagra"),
        ("Vi<!-- noise -->agra", "Viagra"),
        ("fish &amp; chips &lt;now&gt; &euro;5 &#x263A;", "fish & chips <now> €5 ☺"),
        ("<title>not shown</title><style>p {x: y}</style><script>alert('no')</script>yes", "yes"),
        ("<p>unclosed <b>tags <i>everywhere", "unclosed tags everywhere"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<frameset><frame src=x></frameset>", ""),
        ("", ""),
    ],
)
def test_visible_words_come_out(html: str, words: str) -> None:
    """Blocks part words, inline tags and comments do not, and what is no text is not shown."""
    assert seen(html) == words


@pytest.mark.parametrize(
    "attribute",
    [
        "style='display:none'",
        'style="DISPLAY : NONE; color: red"',
        "style=visibility:hidden",
        "style='font-size:0'",
        "style='font-size: 0px'",
        "style='font-size:0.0em'",
        "style='opacity:0'",
        "style='mso-hide:all'",
        "hidden",
    ],
)
def test_hidden_elements_are_not_seen_and_are_counted(attribute: str) -> None:
    """All that stands in a hidden element is hidden, nested elements too, once."""
    html = f"<p>one</p><div {attribute}>bad <b {attribute}>words</b></div><p>two</p>"
    part = rendered(html, Defects())
    assert part.text.split() == ["one", "two"]
    assert part.hidden_characters == len("badwords")


@pytest.mark.parametrize(
    "attribute",
    [
        "style='display:block'",
        "style='font-size:0.8em'",
        "style='font-size:10px'",
        "style='opacity:0.5'",
        "title=hidden",
    ],
)
def test_shown_elements_are_seen(attribute: str) -> None:
    """A style that hides nothing hides nothing."""
    part = rendered(f"<div {attribute}>good words</div>", Defects())
    assert part.text.split() == ["good", "words"]
    assert part.hidden_characters == 0


def test_comments_are_counted_but_not_those_of_mail_programs() -> None:
    """Conditional comments are written by mail programs, and hide nothing from the eye."""
    assert rendered("a<!--12345-->b", Defects()).hidden_characters == 5
    assert rendered("a<!--[if mso]><p>x</p><![endif]-->b", Defects()).hidden_characters == 0
    assert rendered("a<!-- never closed", Defects()).text.strip() == "a"


def test_links_images_and_forms_are_counted() -> None:
    """Only web links are links."""
    part = rendered(
        "<A HREF='http://a.example/X'>x</A> <a href=https://b.example>y</a>"
        "<a href='mailto:c@d.example'>z</a>"
        "<IMG src=i><form action=f><input name=n></form>",
        Defects(),
    )
    assert part.links == ("http://a.example/x", "https://b.example")
    assert (part.images, part.forms) == (1, 2)


def test_a_document_is_told_from_plain_text() -> None:
    """Plain text that mentions a tag is no document."""
    assert html_text.is_document("\n <!DOCTYPE HTML PUBLIC x><html>")
    assert html_text.is_document("<HTML>")
    assert not html_text.is_document("use <b>bold</b> text, or <html>")


def test_html_beyond_the_limit_is_not_rendered() -> None:
    """A part as long as the limit is whole; a longer one is cut and counted."""
    defects = Defects()
    rendered("x" * MAX_CHARACTERS, defects)
    assert not defects
    assert len(rendered("x" * (MAX_CHARACTERS + 9), defects).text) == MAX_CHARACTERS
    assert defects == {Defect.HTML_TOO_LONG: 1}


def test_a_long_document_is_rendered_whole_in_bounded_pieces() -> None:
    """No piece is longer or holds more tags than the limits, and no word is lost."""
    words = [f"word{number}" for number in range(5000)]
    html = "".join(f"<p>{word}</p>" for word in words)
    pieces = list(html_text._pieces(html))
    assert len(pieces) > 1
    assert "".join(pieces) == html
    assert max(map(len, pieces)) <= PIECE_CHARACTERS
    assert max(piece.count("<") for piece in pieces) <= PIECE_TAGS
    assert seen(html).split() == words


@pytest.mark.parametrize(
    "unit", ["<div>", "<b><i><div>", "<p a='", "x", "<script>", "<!--", f"<p {'a ' * 50}>", "<"]
)
def test_no_markup_makes_a_piece_longer_than_the_limits(unit: str) -> None:
    """The parser's quadratic cases are bounded: what it is given at once is, whatever the markup."""
    html = unit * (MAX_CHARACTERS // len(unit))
    pieces = list(html_text._pieces(html))
    assert max(map(len, pieces)) <= PIECE_CHARACTERS
    assert max(piece.count("<") for piece in pieces) <= PIECE_TAGS
    assert "".join(pieces) == html
