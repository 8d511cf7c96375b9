"""Evasions change what a filter reads and not what a person reads; extraction undoes most of them."""

import numpy as np
import pyarrow as pa
import pytest

from contracts.features import NUMERIC_NAMES
from feature_repo.message import parse
from feature_repo.message_features import extract
from training.workload import Dataset
from training.workloads.spam_detector.dataset import TEXT
from training.workloads.spam_detector.evasion import EVASIONS, typical_words

pytestmark = pytest.mark.xdist_group("models")  # one worker fits the model that they share

PLAIN = b"From: a@example.org\nSubject: Cheap money\n\nGet your money today and call us\n"
PAGE = (
    b"From: a@example.org\nSubject: Cheap money\nContent-Type: text/html\n\n"
    b'<html><body><p class="money">Get your money today</p></body></html>\n'
)
WORDS = ("meeting", "patch")


@pytest.mark.parametrize("name", sorted(EVASIONS))
@pytest.mark.parametrize("raw", [PLAIN, PAGE], ids=["plain", "html"])
def test_evasion_changes_the_bytes_and_keeps_sender_and_words_to_read(name: str, raw: bytes) -> None:
    """The message still parses, comes from the same sender, and the same input gives the same output."""
    evaded = EVASIONS[name](raw, WORDS)
    assert evaded != raw
    assert evaded == EVASIONS[name](raw, WORDS)
    assert b"money" not in evaded.partition(b"\n\n")[2]
    message = parse(evaded)
    assert message.sender == "a@example.org"
    assert {"get", "your", "money", "today"} <= set(extract(message).text.split(" "))


def test_homoglyphs_and_zero_width_characters_are_counted() -> None:
    """What extraction undoes, it counts: the evasion itself is a sign."""
    column = NUMERIC_NAMES.index("obfuscation_count")
    before = extract(parse(PLAIN)).numeric[column]
    for name in ("homoglyphs", "zero_width"):
        assert extract(parse(EVASIONS[name](PLAIN, WORDS))).numeric[column] > before


def test_hidden_words_are_not_read_and_padding_is() -> None:
    """Words that nobody sees stay outside; words that everybody sees are in."""
    hidden = extract(parse(EVASIONS["html_hiding"](PLAIN, WORDS))).text.split(" ")
    padded = extract(parse(EVASIONS["good_words"](PLAIN, WORDS))).text.split(" ")
    assert "meeting" not in hidden
    assert {"meeting", "patch"} <= set(padded)


def test_attachments_and_multiparts_survive() -> None:
    """Only text parts that are shown are rewritten."""
    raw = (
        b"From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
        b"--x\nContent-Type: text/plain\n\nGet your money today\n"
        b"--x\nContent-Type: text/plain\nContent-Disposition: attachment\n\nmoney notes\n--x--\n"
    )
    evaded = EVASIONS["zero_width"](raw, WORDS)
    assert b"money notes" in evaded
    assert parse(evaded).attachments == parse(raw).attachments == 1


def test_every_evasion_survives_every_odd_message(some_messages: pa.Table) -> None:
    """Real mail breaks the standards in every way; an evasion of it is still a message."""
    raws = some_messages["raw"].to_pylist()[::3]
    for name, evade in EVASIONS.items():
        senders = [parse(evade(raw, WORDS)).sender for raw in raws]
        assert senders == [parse(raw).sender for raw in raws], name


def test_evaded_rows_keep_labels_ids_and_sender_history(mails: Dataset) -> None:
    """Only the text and the message's own numbers may change."""
    wanted = np.array([5, 3, 40])
    rows = mails.perturbations["homoglyphs"](wanted)
    assert rows.ids.tolist() == mails.rows.ids[wanted].tolist()
    assert rows.labels.tolist() == mails.rows.labels[wanted].tolist()
    assert rows.inputs["numeric"][:, 16:].tolist() == mails.rows.inputs["numeric"][wanted, 16:].tolist()
    assert rows.inputs[TEXT].shape == (3, 1)


def test_typical_words_are_those_of_wanted_mail() -> None:
    """Words of both kinds of mail, and placeholders, are not among the first."""
    texts = np.array(["patch the code today", "patch and code _url", "money today _url"], dtype=object)
    assert typical_words(texts, np.array([True, True, False]))[:2] == ("code", "patch")
