"""An answer becomes a row, and a row a line that tells whether it is whole."""

import math

import numpy as np
import pytest

from gateway.memory.rows import line, prediction_of, row
from records.errors import RecordRejected
from tests.gateway.memory.answers import FACTS, answered


def test_a_row_holds_what_was_answered_and_comes_back_from_its_line() -> None:
    """Every field; the numbers as floats, whatever kind of sequence they came in."""
    for numbers in ([0.5, 2.0], (0.5, 2.0), np.array([0.5, 2], dtype=np.float32), memoryview(b"\x01\x02")):
        made = row(answered(1, numeric=numbers))
        assert prediction_of(line(made)) == made
    made = row(answered(1))
    assert (made.sender, made.sender_domain, made.threshold) == ("ann@example.org", "example.org", 0.5)
    assert (made.model_name, made.model_version, made.label) == ("spam-detector", "7", "spam")
    assert (made.defaulted_features, made.text_statistics) == (3, {"token_count": 12.0})
    nobody = row(answered(1, facts=FACTS.model_copy(update={"sender": "", "sender_domain": ""})))
    assert (nobody.sender, nobody.sender_domain) == (None, None)


def test_hostile_text_makes_a_line_that_can_be_read() -> None:
    """NUL, lone surrogates and line feeds in a sender break neither the line nor the next one."""
    for sender in ("a\x00b@c", "\ud800@c", "a\nb\r\n@c", '"}\n{"@c', "\u2028\x85@c"):
        made = row(answered(1, facts=FACTS.model_copy(update={"sender": sender})))
        text = line(made)
        assert text.count(b"\n") == 1
        assert prediction_of(text) == made


def test_a_line_that_is_cut_or_changed_anywhere_is_none() -> None:
    """At every byte."""
    whole = line(row(answered(1)))
    for end in range(len(whole) - 1):
        assert prediction_of(whole[:end]) is None
        assert prediction_of(whole[:end] + b"\n") is None
        flipped = whole[:end] + bytes([whole[end] ^ 1]) + whole[end + 1 :]
        assert prediction_of(flipped) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_id": ""},
        {"request_id": "secret" * 40},
        {"probability": math.nan},
        {"probability": 1.5},
        {"numeric": [math.inf]},
        {"label": " "},
        {"latency_seconds": -1.0},
        {"message_sha256": "secret"},
        {"version": ""},
        {"shadow_of": "request-000001"},
    ],
)
def test_what_no_table_holds_is_refused_without_its_value(wrong: dict[str, object]) -> None:
    """The reason names the field only."""
    with pytest.raises(RecordRejected) as refused:
        row(answered(1, **wrong))
    assert "secret" not in refused.value.message
