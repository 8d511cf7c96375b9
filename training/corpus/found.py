"""What a source holds, one entry at a time, and the rules by which an entry is a labelled message."""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from contracts.labels import Label


class Reason(StrEnum):
    """Why an entry of a source is in quarantine instead of in the corpus."""

    EMPTY = "empty"
    """No bytes, or nothing but white space."""
    NO_HEADER = "no_header"
    """The first line (after an mbox envelope line) is no header field: this is not a message."""
    TOO_LARGE = "too_large"
    """More bytes than TRAINING_MESSAGE_MAX_BYTES."""
    UNLABELLED = "unlabelled"
    """Nothing on its way names a class, or two names contradict each other."""
    UNKNOWN_LABEL = "unknown_label"
    """A label that is neither spam nor ham."""
    CONFLICTING_LABELS = "conflicting_labels"
    """The same bytes came under both labels: none of the copies is kept."""
    NOT_A_FILE = "not_a_file"
    """A link or a device; it is never followed."""
    UNSAFE_PATH = "unsafe_path"
    """An archive entry whose name leaves the archive; it is never read."""


class Found(NamedTuple):
    """One entry of a source.

    `raw` is cut to a byte more than the limit; `label` is None without any, or the text that stood there;
    `group` is the folder, file or column that held it; `where` finds it again; `reason` is set where the
    source itself could not read the entry.
    """

    raw: bytes
    label: str | None
    group: str
    where: str
    reason: Reason | None = None


# RFC 5322 allows nearly every printable character in a field name; real mail uses these, and JSON does not.
_HEADER_FIELD: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_-]*[ \t]*:")
_WORD: Final = re.compile(r"[a-z]+")
_NEGATIONS: Final = frozenset({"not", "non", "no", "anti", "un"})


def reason_against(found: Found, max_bytes: int) -> Reason | None:
    """Returns why `found` cannot be kept, or None if it is a labelled message."""
    if found.reason is not None:
        return found.reason
    return _reason_against_bytes(found.raw, max_bytes) or _reason_against_label(found.label)


def _reason_against_bytes(raw: bytes, max_bytes: int) -> Reason | None:
    if len(raw) > max_bytes:
        return Reason.TOO_LARGE
    if not raw.strip():
        return Reason.EMPTY
    return None if begins_with_header(raw) else Reason.NO_HEADER


def _reason_against_label(label: str | None) -> Reason | None:
    if label is None:
        return Reason.UNLABELLED
    return None if label in set(Label) else Reason.UNKNOWN_LABEL


def begins_with_header(raw: bytes) -> bool:
    """Returns whether the first line of `raw` is a header field.

    Empty lines and one envelope line of an mbox (`From …`) may stand before it.
    """
    rest = raw.lstrip(b"\r\n")
    if rest.startswith(b"From "):
        _, _, rest = rest.partition(b"\n")
    return _HEADER_FIELD.match(rest) is not None


def label_of_names(names: tuple[str, ...], *, otherwise: Label | None = None) -> Label | None:
    """Returns the class that folder or file names state, `otherwise` if none does, None if two contradict.

    A name states a class if `spam` or `ham` is one of its words; words are runs of letters, so `spam-2`,
    `easy_ham` and `Ham` do, and `spamassassin` does not. A name with both words, or with a negation before
    it (`not-spam`), states nothing: guessing would poison the labels.
    """
    stated = {label for name in names if (label := _label_of_name(name)) is not None}
    if not stated:
        return otherwise
    return stated.pop() if len(stated) == 1 else None


def _label_of_name(name: str) -> Label | None:
    words = set(_WORD.findall(name.lower()))
    if words & _NEGATIONS:
        return None
    stated = [label for label in Label if label.value in words]
    return stated[0] if len(stated) == 1 else None
