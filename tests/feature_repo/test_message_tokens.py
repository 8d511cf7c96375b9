"""Tokens: words as they are, and placeholders where the very letters must not be learned."""

import pytest

from feature_repo.tokens import MAX_TOKEN, dated, shouts, words


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("hello, world. bye.", "hello world bye"),
        ("don't \"quote\" 'me'", "dont quote me"),
        ("don\u2019t", "dont"),
        ("e-mail snake_case a/b", "e mail snake case a b"),
        ("free!!", "free _exclaim _exclaim"),
        ("$100 or 50%", "_money _number or _number _percent"),
        ("£5 €6", "_money _number _money _number"),
        ("1,000.50", "_number _number"),
        ("see http://example.org/a_b?c=d now", "see _url now"),
        ("see (https://example.org) and ftp://x.y", "see _url and _url"),
        ("http://10.0.0.1/x http://3232235521/", "_ipurl _ipurl"),
        ("mail bob.smith@example.org, please", "mail _email please"),
        ("a@b c@d", "_email _email"),
        ("www.example.org lists.example.com linux.ie", "_host _host _host"),
        ("v.i.a.g.r.a in the u.s.a.", "viagra in the usa"),
        ("v1agra mp3 g7tn99z", "_mixed _mixed _mixed"),
        ("3.14 10.0.0.1", "_number _number"),
        ("file.c1 x.2", "_mixed _mixed"),
        ("x" * MAX_TOKEN, "x" * MAX_TOKEN),
        ("x" * (MAX_TOKEN + 1), "_long"),
        ("thursday 22 aug", "_date _number _date"),
        ("... . .. '", ""),
        ("@ :// $", "_email _url _money"),
        ("\x02url \x00\x07 _url", "url url"),
        ("grüße, привет! ¿qué?", "grüße привет _exclaim qué"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("", ""),
    ],
)
def test_text_becomes_tokens(text: str, tokens: str) -> None:
    """Each rule by an example."""
    assert " ".join(words(text, {})) == tokens


def test_masked_words_become_their_placeholder() -> None:
    """Names of the people of a message are masked as whole words only."""
    assert words("dear bob, bobsled", {"bob": "_recipient"}) == ["dear", "_recipient", "bobsled"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on may _number", "on _date _number"),
        ("_number march _number", "_number _date _number"),
        ("you may go", "you may go"),
        ("the sun rose", "the sun rose"),
    ],
)
def test_words_that_are_perhaps_dates_are_dates_beside_a_number(text: str, expected: str) -> None:
    """May and March, Sun and Sat are words elsewhere."""
    assert dated(text) == expected


def test_shouting_is_words_of_four_capitals_or_more() -> None:
    """Abbreviations of three letters do not shout."""
    assert shouts("BUY NOW, IT IS FREE") == 1
    assert shouts("the USA and the EU") == 0
