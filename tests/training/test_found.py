"""What counts as a labelled message."""

import pytest

from contracts.labels import Label
from training.corpus.found import Found, Reason, begins_with_header, label_of_names, reason_against

MAX_BYTES = 100


@pytest.mark.parametrize(
    ("name", "label"),
    [
        *((name, Label.SPAM) for name in ("spam", "spam-2", "Spam_2024", "20030228_spam")),
        *((name, Label.HAM) for name in ("ham", "easy-ham-1", "hard_ham", "HAM")),
        *(
            (name, None)
            for name in ("spamassassin", "hamburg", "not-spam", "non_ham", "ham-and-spam", "in", "")
        ),
    ],
)
def test_folder_name_states_a_class_only_as_a_word_of_its_own(name: str, label: Label | None) -> None:
    """A wrong label poisons silently, so a doubtful name states nothing."""
    assert label_of_names((name,)) is label


def test_names_that_contradict_each_other_state_nothing() -> None:
    """Not even the label for the rest is used then."""
    assert label_of_names(("ham", "spam"), otherwise=Label.HAM) is None
    assert label_of_names(("spam", "2002", "spam-1")) is Label.SPAM
    assert label_of_names(("2002", "inbox"), otherwise=Label.HAM) is Label.HAM


@pytest.mark.parametrize(
    "raw",
    [
        b"From: a@b\n\nhi",
        b"\r\n\nReceived: x\n",
        b"From a@b Sat Oct  5 17:23:18 2002\nX-A_b: 1\n",
        b"Subject :x",
    ],
)
def test_message_begins_with_a_header_field(raw: bytes) -> None:
    """Empty lines and one envelope line may stand before it."""
    assert begins_with_header(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id": 1}', b"mv 1 00001.7c\n", b"\x89PNG\r\n", b"# Title\nText: x", b"From a@b\nno header", b": x",
        b"\0",
    ],
)  # fmt: skip
def test_other_files_do_not(raw: bytes) -> None:
    """JSON, scripts, pictures and prose are no messages."""
    assert not begins_with_header(raw)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Found(b"A: b", "ham", "", ""), None),
        (Found(b"A: b" + b"x" * (MAX_BYTES - 4), "spam", "", ""), None),
        (Found(b"A: b" + b"x" * (MAX_BYTES - 3), "spam", "", ""), Reason.TOO_LARGE),
        (Found(b"", "ham", "", ""), Reason.EMPTY),
        (Found(b" \r\n\t", "ham", "", ""), Reason.EMPTY),
        (Found(b"prose", "ham", "", ""), Reason.NO_HEADER),
        (Found(b"A: b", None, "", ""), Reason.UNLABELLED),
        (Found(b"A: b", "eggs", "", ""), Reason.UNKNOWN_LABEL),
        (Found(b"", None, "", "", Reason.NOT_A_FILE), Reason.NOT_A_FILE),
    ],
)
def test_each_rule_has_both_sides(found: Found, reason: Reason | None) -> None:
    """What is kept is just inside of each rule, and what is refused just outside."""
    assert reason_against(found, MAX_BYTES) is reason
