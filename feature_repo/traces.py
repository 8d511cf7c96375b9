"""What tells where a message was collected, and not what it is: removed from subject and body alike.

The rules are general. A leading tag in brackets is what list servers put before a subject; a footer is a
separator line followed by the words list servers write. They fall in spam and ham alike.
"""

import re
from itertools import pairwise
from typing import Final

_PREFIX: Final = re.compile(
    r"\s*+(?:re|fwd?|fw|aw|sv|antw|wg|rv|tr)\s*+(?:\[\d{1,3}\]|\(\d{1,3}\))?\s*+:", re.IGNORECASE
)
_TAG: Final = re.compile(r"\s*+\[[^\[\]]{1,60}\]")
_MAX_TAGS: Final = 8

# A separator line of a footer: a rule of at least eight signs, or a signature mark; quoted or not.
_SEPARATOR: Final = re.compile(r"^[>|: \t]{0,20}(?:[_=~*+#-]{8,}[^\n]{0,60}|-- ?)$", re.MULTILINE)
_FOOTER_WORDS: Final = (
    "mailing list", "mailman/", "listinfo", "list-owner", "list-admin", "listmaster", "list maintainer",
    "groups sponsor", "mail is sponsored by", "(un)subscri", "un/subscri", "subscribe@", "-request@",
    "majordomo", "unsubscribe from this group", "unsubscribe from this list", "list archive",
)  # fmt: skip
_FOOTER_CHARACTERS: Final = 700

# "On <date>, <name> wrote:" above a quotation: who and when are no content; that someone is quoted is.
_ATTRIBUTION: Final = re.compile(r"^[^\n]{0,200}\b(wrote|writes) ?:[ \t]{0,20}$", re.MULTILINE)


def bare_subject(subject: str) -> tuple[str, bool]:
    """Returns `subject` without reply prefixes and list tags, and whether it had a reply prefix."""
    position = 0
    is_reply = False
    for _ in range(_MAX_TAGS):
        found = _PREFIX.match(subject, position)
        is_reply = is_reply or found is not None
        found = found or _TAG.match(subject, position)
        if found is None:
            break
        position = found.end()
    return subject[position:].strip(), is_reply


def without_footers(text: str) -> str:
    """Returns lower-case `text` without the footers of list servers.

    A footer is what lies between a separator line and the next one, if it begins with the words of a list
    server within its first 700 characters.
    """
    if not _speaks_of_a_list(text):
        return text
    kept = []
    position = 0
    marks = [match.start() for match in _SEPARATOR.finditer(text)]
    for start, end in pairwise([*marks, len(text)]):
        if _speaks_of_a_list(text[start : min(end, start + _FOOTER_CHARACTERS)]):
            kept.append(text[position:start])
            position = _end_of_footer(text, start, end)
    kept.append(text[position:])
    return "".join(kept)


def without_attributions(text: str) -> str:
    """Returns lower-case `text` with only the word `wrote` or `writes` left of lines above quotations."""
    if "wrote" not in text and "writes" not in text:
        return text
    return _ATTRIBUTION.sub(r"\1", text)


def _speaks_of_a_list(text: str) -> bool:
    return any(word in text for word in _FOOTER_WORDS)


def _end_of_footer(text: str, start: int, end: int) -> int:
    """Returns where a footer ends: at the next separator, or at an empty line beyond its usual length."""
    if end - start <= _FOOTER_CHARACTERS:
        return end
    blank = text.find("\n\n", start + _FOOTER_CHARACTERS // 2, end)
    return end if blank == -1 else blank
