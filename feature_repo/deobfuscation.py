"""Text as a reader sees it: what fools a filter, and not the eye, is undone and counted.

Real Russian, Greek, Japanese, Persian or emoji text comes through unharmed: letters of other scripts are
folded only inside a word that mixes them with Latin ones and is wholly Latin once they are folded.
"""

import re
import unicodedata
from typing import Final, NamedTuple

# Everything that the rules below look for; not Latin letters, punctuation and currency.
_SUSPECT: Final = re.compile("[\u00ad\u0250-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\u2460-\U0010ffff]")
# Never seen, never needed: soft hyphen, grapheme joiner, bidirectional controls, word joiners, fillers, tags.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef]"
)
# Joiners and variation selectors belong to Persian, Indic and emoji; between Latin letters they hide.
_JOINER: Final = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
_JOINER_IN_LATIN: Final = re.compile("(?<=[A-Za-z0-9])[\u200c\u200d\ufe00-\ufe0f]++(?=[A-Za-z0-9])")
# Latin letters in another dress: full-width, mathematical, enclosed. NFKC undresses them.
_DRESSED: Final = re.compile(
    "[\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d6a5\u249c-\u24e9\U0001f110-\U0001f189]"
)
# The longest run outside Latin that NFKC is given at once: it sorts combining marks in quadratic time.
_LONG_RUN: Final = re.compile(r"([^\x00-\u02ff\s]{64})")

# Letters that look like a Latin one in common typefaces (Unicode confusables, UTS 39, the plain cases).
_CYRILLIC: Final = dict(
    zip(
        "авеёкмнорстухіјѕһԁԛԝӏАВЕКМНОРСТУХІЈЅҺԚԜ",
        "abeekmhopctyxijshdqwlABEKMHOPCTYXIJSHQW",
        strict=True,
    )
)
_GREEK: Final = dict(zip("αβγεηικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "abyenikvoptuxwABEZHIKMNOPTYX", strict=True))
_OTHER: Final = dict(zip("օսոհցԱՕ", "ounhgUO", strict=True)) | dict(zip("ɑɡᴀᴇɪᴏᴜ", "agaeiou", strict=True))
CONFUSABLE: Final = _CYRILLIC | _GREEK | _OTHER
"""Look-alike letter to the Latin letter it stands for."""
_FOLD: Final = str.maketrans(CONFUSABLE)
_CONFUSABLE_SCRIPTS: Final = re.compile(
    "[\u0251\u0261\u026a\u0370-\u03ff\u0400-\u052f\u0531-\u0587\u1d00-\u1d1c]"
)
_MIXED_WORD: Final = re.compile(r"[^\W_]++")


class Plain(NamedTuple):
    """Deobfuscated text, and the number of characters dropped or folded on the way."""

    text: str
    changed: int


def deobfuscated(text: str) -> Plain:
    """Returns `text` in NFKC without invisible characters and look-alike letters."""
    if text.isascii():
        return Plain(text, 0)
    if _SUSPECT.search(text) is None:
        return Plain(unicodedata.normalize("NFKC", text), 0)
    text, joiners = _JOINER_IN_LATIN.subn("", text.removeprefix("\ufeff"))
    text, invisible = _INVISIBLE.subn("", text)
    changed = joiners + invisible + len(_DRESSED.findall(text))
    text = unicodedata.normalize("NFKC", _LONG_RUN.sub(r"\1 ", _JOINER.sub("", text)))
    if _CONFUSABLE_SCRIPTS.search(text):
        text, folded = _without_homoglyphs(text)
        changed += folded
    return Plain(text, changed)


def _without_homoglyphs(text: str) -> tuple[str, int]:
    folded = 0

    def fold(match: re.Match[str]) -> str:
        nonlocal folded
        word = match[0]
        if not any("a" <= letter <= "z" or "A" <= letter <= "Z" for letter in word):
            return word
        latin = word.translate(_FOLD)
        if not latin.isascii():
            return word
        folded += sum(map(str.__ne__, word, latin))
        return latin

    return _MIXED_WORD.sub(fold, text), folded
