"""Text to tokens: lower-case words, and a placeholder for everything whose very letters must not be learned.

A placeholder begins with `_`, which no word does. Addresses, hosts, numbers and dates become placeholders:
on a public corpus they tell who collected it and when. A token holds no white space; tokens are joined by
single spaces, which is where the vectoriser splits.

The steps are whole-string operations that run in C (replace, translate, split); Python is asked only about
the few tokens that are not plain letters.
"""

import re
from collections.abc import Mapping
from typing import Final

MAX_TOKEN: Final = 32
"""Characters of the longest word; a longer one becomes `_long`."""

# Placeholders are written with this mark until the underscores of the text itself are gone.
_MARK: Final = "\x02"
_URL: Final = re.compile(r"\b(?:https?|ftp|mailto|news|file):[^\s<>\"']{1,2000}+")
_IP_URL: Final = re.compile(r"\bhttps?://(?:\d{1,3}\.){3}\d")
_EMAIL: Final = re.compile(r"[\w.+*=~&'/-]{0,64}+@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")
# May, March, Sun and Sat are also words: they are dates only beside a number.
_DATE: Final = re.compile(r"\b(?:sun|sat|mar|may|march)\b(?=[ ,/.-]{1,3}\d)|(?<=\d[ /-])(?:mar|may|march)\b")
_SHOUT: Final = re.compile(r"[A-Z]{4,}+")
# Symbols of other scripts part words; letters, digits and the marks of accents and of Indic vowels do not.
_FOREIGN_SYMBOL: Final = re.compile(r"[^\w\x00-\x7f\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u109f]++")

_SYMBOLS: Final = (("!", "exclaim"), ("$", "money"), ("£", "money"), ("€", "money"), ("%", "percent"))
_TABLE: Final = (
    {code: " " for code in range(128) if not chr(code).isalnum()}
    | {ord("'"): None, ord("."): "."}
    | {ord(_MARK): "_"}
)
_DATE_WORDS: Final = dict.fromkeys(
    (
        "january february april june july august september october november december jan feb apr jun jul aug sep "
        "sept oct nov dec monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur "
        "thurs fri gmt utc est edt cst cdt mst mdt pst pdt bst ist cet cest"
    ).split(),
    "_date",
)


def words(text: str, masks: Mapping[str, str]) -> list[str]:
    """Returns the tokens of deobfuscated `text`, in order; a word that `masks` names becomes its placeholder."""
    text = text.lower()
    if "://" in text or "mailto:" in text:
        text = _URL.sub(f" {_MARK}url ", _IP_URL.sub(rf" {_MARK}ipurl \g<0>", text))
    if "@" in text:
        text = _EMAIL.sub(f" {_MARK}email ", text)
    text = _DATE.sub(f"{_MARK}date", text)
    for symbol, name in _SYMBOLS:
        if symbol in text:
            text = text.replace(symbol, f" {_MARK}{name} ")
    if not text.isascii():
        text = _FOREIGN_SYMBOL.sub(" ", text.replace("\u2019", ""))
    # A full stop ends a sentence before white space; inside a word it makes a host or an abbreviation.
    tokens = text.replace(". ", " ").replace(".\n", " ").translate(_TABLE).split()
    known = {**_DATE_WORDS, **masks}
    found = [
        known.get(token, token) if token.isalpha() and len(token) <= MAX_TOKEN else _odd(token, known)
        for token in tokens
    ]
    return [token for token in found if token]


def shouts(text: str) -> int:
    """Returns the number of words of four or more capitals in `text`."""
    return len(_SHOUT.findall(text))


def _odd(token: str, known: Mapping[str, str]) -> str:
    """Returns what a token that is not plain letters stands for; empty if it is nothing."""
    if token[0] == "_":
        return token
    token = token.strip(".")
    if "." in token:
        pieces = token.split(".")
        if all(len(piece) == 1 for piece in pieces):
            token = "".join(pieces)  # v.i.a.g.r.a, u.s.a
        elif pieces[-1].isalpha():
            return "_host"
        else:
            return "_number" if token.replace(".", "").isdigit() else "_mixed"
    if len(token) > MAX_TOKEN:
        return "_long"
    if token.isdigit():
        return "_number"
    if any(map(str.isdigit, token)):
        return "_mixed"
    return known.get(token, token)
