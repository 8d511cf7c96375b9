"""Text to tokens: lower-case words, and a placeholder for everything whose very letters must not be learned.

A placeholder begins with `_`, which no word does. Addresses, hosts, numbers and dates become placeholders:
on a public corpus they tell who collected it and when. A token holds no white space; tokens are joined by
single spaces, which is where the vectoriser splits.

The steps are whole-string operations that run in C (split, replace, translate); Python looks only at the
distinct tokens that are not plain letters.
"""

import re
from collections.abc import Mapping
from typing import Final

MAX_TOKEN: Final = 32
"""Characters of the longest word; a longer one becomes `_long`."""

# Placeholders are written with this mark until the underscores of the text itself are gone.
_MARK: Final = "\x02"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_URL_REST: Final = re.compile(r"[^\s<>\"']*+")
_IP: Final = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}|\d{6,}")
_LOCAL_PART: Final = _LETTERS + "0123456789.+*=~&/_-"
_DOMAIN: Final = _LETTERS + "0123456789._-"
_SHOUT: Final = re.compile(r"[A-Z]{4,}+")
# Symbols of other scripts part words; letters, digits and the marks of accents and of Indic vowels do not.
_FOREIGN_SYMBOL: Final = re.compile(r"[^\w\x00-\x7f\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u109f]++")

_SYMBOLS: Final = (("!", "exclaim"), ("$", "money"), ("£", "money"), ("€", "money"), ("%", "percent"))
# Everything in ASCII that is no letter and no digit parts words, controls included; an apostrophe vanishes.
_TABLE: Final = (
    {code: " " for code in range(128) if not chr(code).isalnum()}
    | {ord("'"): None, ord("."): "."}
    | {ord(_MARK): "_"}
)
_DATE_WORDS: Final = frozenset(
    {
        "january", "february", "april", "june", "july", "august", "september", "october", "november",
        "december", "jan", "feb", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
        "mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri",
        "gmt", "utc", "est", "edt", "cst", "cdt", "mst", "mdt", "pst", "pdt", "bst", "ist", "cet", "cest",
    }
)  # fmt: skip
# These are also words: they are dates only beside a number.
_PERHAPS_DATES: Final = ("sun", "sat", "mar", "march", "may")


def words(text: str, masks: Mapping[str, str]) -> list[str]:
    """Returns the tokens of deobfuscated lower-case `text`, in order.

    A word that `masks` names becomes its placeholder.
    """
    text = text.replace(_MARK, " ")
    if "://" in text:
        text = _without_urls(text)
    if "@" in text:
        text = _without_addresses(text)
    for symbol, name in _SYMBOLS:
        if symbol in text:
            text = text.replace(symbol, f" {_MARK}{name} ")
    if not text.isascii():
        text = _FOREIGN_SYMBOL.sub(" ", text.replace("\u2019", ""))
    # A full stop ends a sentence before white space; inside a word it makes a host or an abbreviation.
    tokens = text.replace(". ", " ").replace(".\n", " ").translate(_TABLE).split()
    distinct = set(tokens)
    replaced = dict.fromkeys(distinct & _DATE_WORDS, "_date")
    for token in distinct:
        if len(token) > MAX_TOKEN or not token.isalpha():
            replaced[token] = _odd(token)
    replaced |= {token: mask for token, mask in masks.items() if token in distinct}
    if replaced:
        tokens = [word for token in tokens if (word := replaced.get(token, token))]
    return tokens


def dated(text: str) -> str:
    """Returns token `text` in which May, March, Sun and Sat beside a number are dates."""
    for word in _PERHAPS_DATES:
        if f" {word} " in text:
            text = text.replace(f" {word} _number", " _date _number").replace(
                f"_number {word} ", "_number _date "
            )
    return text


def shouts(text: str) -> int:
    """Returns the number of words of four or more capitals in `text`."""
    return len(_SHOUT.findall(text))


def _without_urls(text: str) -> str:
    *pieces, last = text.split("://")
    kept: list[str] = []
    for before, after in zip(pieces, [*pieces[1:], last], strict=True):
        sign = "ipurl" if _IP.match(after) else "url"
        kept += (before[_end_of_url(before) if kept else 0 :].rstrip(_LETTERS), f" {_MARK}{sign} ")
    return "".join([*kept, last[_end_of_url(last) :]])


def _end_of_url(text: str) -> int:
    return _URL_REST.match(text).end()  # type: ignore[union-attr] # it matches the empty string


def _without_addresses(text: str) -> str:
    first, *pieces, last = text.split("@")
    kept = [first.rstrip(_LOCAL_PART)]
    kept += (piece.lstrip(_DOMAIN).rstrip(_LOCAL_PART) for piece in pieces)
    kept.append(last.lstrip(_DOMAIN))
    return f" {_MARK}email ".join(kept)


def _odd(token: str) -> str:
    """Returns what a token that is not plain letters stands for; empty if it is nothing."""
    if token[0] == "_":
        return token
    token = token.strip(".")
    if "." in token:
        pieces = token.split(".")
        if max(map(len, pieces)) > 1:
            digits = "".join(pieces).isdigit()
            return "_number" if digits else "_host" if pieces[-1].isalpha() else "_mixed"
        token = "".join(pieces)  # v.i.a.g.r.a, u.s.a
    if len(token) > MAX_TOKEN:
        return "_long"
    if any(map(str.isdigit, token)):
        return "_number" if token.isdigit() else "_mixed"
    return token
