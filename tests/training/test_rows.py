"""From entries to the two tables: nothing vanishes, and order does not matter."""

import hashlib
import random
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from feature_repo.message import MessageLimits
from training.corpus.found import Found, Reason
from training.corpus.rows import normalise

MAX_BYTES = 200
LIMITS = MessageLimits()
MESSAGES = st.sampled_from(
    [b"A: b", b"From: a@b\n\nhi", b"From: c@d\n\n\xff\xfe", b"prose", b"", b"A:" + b"x" * 300]
)
ENTRIES = st.lists(
    st.builds(
        Found,
        raw=MESSAGES,
        label=st.sampled_from(["spam", "ham", "eggs", None]),
        group=st.sampled_from(["g", "h"]),
        where=st.text(max_size=3),
        reason=st.sampled_from([None, None, None, Reason.NOT_A_FILE]),
    ),
    max_size=30,
)


@given(ENTRIES, st.randoms(use_true_random=False))
def test_counts_add_up_whatever_comes_in_and_in_any_order(
    entries: list[Found], chance: random.Random
) -> None:
    """Every entry is kept, in quarantine, or a counted repetition; their order does not matter."""
    result = normalise(entries, max_bytes=MAX_BYTES, limits=LIMITS)
    assert result.read == len(entries)
    assert sum(result.reasons.values()) == result.quarantined.num_rows
    chance.shuffle(entries)
    again = normalise(entries, max_bytes=MAX_BYTES, limits=LIMITS)
    assert again.kept.equals(result.kept)
    assert again.repeated == result.repeated
    assert again.reasons == result.reasons


def test_message_becomes_a_row_with_date_sender_and_hash() -> None:
    """The columns are what the contract says."""
    raw = b"From: Ann <ANN@Example.ORG>\nDate: Sat, 5 Oct 2002 17:23:18 +0200\n\nhi \xff"
    row = normalise([Found(raw, "ham", "g", "w")], max_bytes=MAX_BYTES, limits=LIMITS).kept.to_pylist()
    assert row == [
        {
            "sha256": hashlib.sha256(raw).hexdigest(),
            "raw": raw,
            "label": "ham",
            "group": "g",
            "date": datetime(2002, 10, 5, 15, 23, 18, tzinfo=UTC),
            "sender": "ann@example.org",
            "sender_domain": "example.org",
        }
    ]


def test_same_bytes_are_kept_once_in_the_first_group_and_counted() -> None:
    """A repetition is no second row."""
    result = normalise(
        [Found(b"A: b", "ham", group, "") for group in ("z", "a", "m")],
        max_bytes=MAX_BYTES,
        limits=MessageLimits(),
    )
    assert (result.kept.num_rows, result.repeated, result.quarantined.num_rows) == (1, 2, 0)
    assert result.kept["group"].to_pylist() == ["a"]


def test_same_bytes_under_both_labels_are_all_in_quarantine() -> None:
    """Nobody knows which label is right."""
    found = [Found(b"A: b", label, "g", label) for label in ("ham", "spam", "spam")]
    result = normalise([*found, Found(b"A: c", "ham", "g", "")], max_bytes=MAX_BYTES, limits=LIMITS)
    assert result.reasons == {"conflicting_labels": 3}
    assert (result.kept.num_rows, result.repeated) == (1, 0)


def test_quarantine_tells_where_an_entry_stood_and_what_it_was() -> None:
    """The row finds the entry again: place, hash, and the beginning of its bytes."""
    row = normalise(
        [Found(b"prose", "spam", "g", "g/7.eml")], max_bytes=MAX_BYTES, limits=LIMITS
    ).quarantined.to_pylist()[0]
    assert row == {
        "reason": "no_header", "where": "g/7.eml", "group": "g", "label": "spam",
        "sha256": hashlib.sha256(b"prose").hexdigest(), "bytes_read": 5, "excerpt": b"prose",
    }  # fmt: skip


def test_date_and_sender_are_read_within_the_limits() -> None:
    """What lies beyond the first bytes of a message is as if it were not there, as in serving."""
    raw = b"From: ann@example.org\nX-Long: " + b"x" * 100 + b"\nDate: Sat, 5 Oct 2002 17:23:18 +0200\n\nhi"
    for most, dated in ((len(raw), True), (100, False)):
        kept = normalise(
            [Found(raw, "ham", "g", "w")], max_bytes=MAX_BYTES, limits=MessageLimits(max_bytes=most)
        ).kept
        assert kept["sender"].to_pylist() == ["ann@example.org"]
        assert (kept["date"][0].as_py() is not None) is dated
