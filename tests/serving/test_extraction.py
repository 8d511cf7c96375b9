"""Whatever comes in, the model's inputs come out, and what is refused is refused without its content."""

import json
import pickle
from typing import Any

import numpy as np
import pytest

from contracts.emails import StructuredEmail
from contracts.features import MAX_TOKENS, MESSAGE_FEATURES, NUMERIC_FEATURES, SENDER_FEATURES
from feature_repo.hostile_mail import HOSTILE
from feature_repo.message import parse
from feature_repo.message_features import extract
from feature_repo.sender_numbers import unknown_senders
from feature_repo.settings import FeatureRepoSettings
from serving.extraction import (
    EmailRefused,
    Extracted,
    extract_element,
    extract_raw,
    extract_structured,
    model_inputs,
)

SETTINGS = FeatureRepoSettings.load()
RAW = (
    b"From: Ann <Ann@Example.org>\nTo: bob@example.net\nCc: eve@example.net\nReply-To: x@elsewhere.example\n"
    b"Subject: Big WIN $$$\n\nclick http://example.com now\n"
)
FIELDS: dict[str, Any] = {
    "subject": "Big WIN $$$",
    "from": "Ann <Ann@Example.org>",
    "to": ["bob@example.net"],
    "cc": "eve@example.net",
    "reply_to": "x@elsewhere.example",
    "body": "click http://example.com now\n",
}


def element(**fields: Any) -> bytes:
    """Returns a structured e-mail as an element of the tensor."""
    return json.dumps(fields).encode()


def same(one: Extracted, other: Extracted) -> bool:
    """Tells whether two messages are the same to the model."""
    return (one.text, one.sender, one.statistics) == (other.text, other.sender, other.statistics) and bool(
        (one.numbers == other.numbers).all()
    )


def test_raw_message_is_extracted_as_training_does_it(raw_messages: list[tuple[bytes, str]]) -> None:
    """Real messages: the same text and the same bits."""
    for raw, _ in raw_messages[::200]:
        trained = extract(parse(raw))
        served = extract_element(raw, SETTINGS)
        assert served.text == trained.text
        assert served.numbers.tobytes() == trained.numeric.tobytes()


def test_structured_e_mail_is_the_raw_one_that_it_stands_for() -> None:
    """By fields, or by headers, or by some of each."""
    raw = extract_element(RAW, SETTINGS)
    assert raw.sender == "ann@example.org"
    assert same(extract_element(element(**FIELDS), SETTINGS), raw)
    body = FIELDS["body"]
    headers = {
        "Subject": FIELDS["subject"], "FROM": FIELDS["from"], "to": "bob@example.net", "Cc": FIELDS["cc"],
        "Reply-To": FIELDS["reply_to"], "Received": "from nowhere",
    }  # fmt: skip
    assert same(extract_element(element(headers=headers, body=body), SETTINGS), raw)
    assert same(extract_structured(StructuredEmail(**FIELDS), SETTINGS), raw)


def test_leading_blanks_do_not_hide_a_structured_e_mail() -> None:
    """JSON may begin with white space; no header begins with a brace."""
    assert same(extract_element(b" \r\n\t" + element(**FIELDS), SETTINGS), extract_element(RAW, SETTINGS))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{", "the document"),
        (b'{"subject": 7}', "subject: "),
        (b'{"from": ["a"]}', "from: "),
        (b'{"to": {"a": 1}}', "to: "),
        (b'{"secret-name": "secret-value"}', "an unknown field"),
        (b'{"subject": "secret-\xff"}', "the document"),
        (b'{"subject": "secret-\\ud800"}', "the document"),
        (b'{"subject": "a", "headers": {"Subject": "secret-"}}', "given twice: subject"),
        (b'{"headers": {"From": "secret-", "from": "b"}}', "given twice: from"),
        (b'{"attachments": -1}', "attachments: "),
        (b'{"a":' * 50_000, "the document"),
        (b'{"to": [' + b'"a@b.example",' * 10_000 + b'"c"]}', "to: "),
    ],
)
def test_what_is_no_structured_e_mail_is_refused_by_field_and_without_content(data: bytes, told: str) -> None:
    """The caller learns where to look; a log that holds the message holds nothing of the e-mail."""
    with pytest.raises(EmailRefused) as refused:
        extract_element(data, SETTINGS)
    assert told in refused.value.message
    assert "secret" not in refused.value.message
    assert len(refused.value.message) < 1000
    assert refused.value.__cause__ is None


def test_structured_e_mail_larger_than_a_message_is_refused() -> None:
    """A raw one is read up to the limit; of JSON a part is nothing."""
    settings = FeatureRepoSettings.load(message_max_bytes=2000)
    assert extract_element(RAW + b"x " * 5000, settings).statistics.token_count > 10
    with pytest.raises(EmailRefused, match="2000 are read at most"):
        extract_element(element(body="x " * 1000), settings)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_message_gives_inputs_that_triton_takes(name: str) -> None:
    """Valid UTF-8 without NUL, a bounded number of tokens, finite numbers in their bounds."""
    found = extract_element(HOSTILE[name](1 << 16), SETTINGS)
    assert found.text.encode("utf-8").decode() == found.text
    assert "\0" not in found.text
    assert len(found.text.split()) <= MAX_TOKENS
    for value, feature in zip(found.numbers.tolist(), MESSAGE_FEATURES, strict=True):
        assert feature.low <= value <= feature.high


@pytest.mark.parametrize("raw", [b"", b"\n", b"\0" * 100, b"\xff\xfe" * 100, b"Subject: a\0b\n\nc\0d \xff"])
def test_no_raw_bytes_are_refused(raw: bytes) -> None:
    """A message is whatever arrives."""
    assert "\0" not in extract_raw(raw, SETTINGS).text


def test_inputs_have_the_contract_s_shapes_and_unknown_senders_by_default() -> None:
    """Text as str, object [N, 1]; float32 [N, 24], the sender's 8 last."""
    messages = [extract_raw(RAW, SETTINGS), extract_raw(b"", SETTINGS)]
    inputs = model_inputs(messages)
    assert inputs["text"].shape == (2, 1)
    assert inputs["text"][:, 0].tolist() == [message.text for message in messages]
    assert inputs["numeric"].shape == (2, len(NUMERIC_FEATURES))
    assert inputs["numeric"].dtype == np.float32
    defaults = [feature.default for feature in SENDER_FEATURES]
    assert inputs["numeric"][:, 16:].tolist() == [defaults, defaults]
    assert unknown_senders(3).shape == (3, 8)
    known = np.arange(16, dtype=np.float32).reshape(2, 8)
    assert model_inputs(messages, known)["numeric"][:, 16:].tolist() == known.tolist()
    assert model_inputs([])["numeric"].shape == (0, 24)


def test_extracted_message_travels_between_processes() -> None:
    """A pool of processes extracts; what comes back is equal."""
    found = extract_raw(RAW, SETTINGS)
    assert same(pickle.loads(pickle.dumps(found)), found)  # noqa: S301 - our own bytes
