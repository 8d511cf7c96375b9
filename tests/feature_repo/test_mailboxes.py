"""Messages of an mbox, held against the standard library's own writer."""

import io
import mailbox
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from feature_repo.mailboxes import split, starts

LINES = st.sampled_from(
    [b"", b"hello", b"From me to you", b">From you", b"From x Sat Oct  5 17:23:18 2002", b"\xff\x00"]
)
BODIES = st.lists(st.lists(LINES, max_size=6), min_size=1, max_size=5)


@given(BODIES)
def test_quoted_mbox_gives_back_what_was_written(bodies: list[list[bytes]]) -> None:
    """With From lines quoted (mboxrd), every body comes back byte for byte."""
    messages = [b"Subject: x\n\n" + b"".join(line + b"\n" for line in body) for body in bodies]
    written = io.BytesIO()
    for message in messages:
        written.write(b"From a@b Sat Oct  5 17:23:18 2002\n")
        for line in message.splitlines(keepends=True):
            written.write(b">" + line if line.lstrip(b">").startswith(b"From ") else line)
        written.write(b"\n")
    written.seek(0)
    assert list(split(written, 10_000)) == messages
    _assert_parts_are_the_whole(written, messages)


def _assert_parts_are_the_whole(stream: io.BytesIO, messages: list[bytes]) -> None:
    stream.seek(0)
    begun = [*starts(stream), len(stream.getvalue())]
    assert len(begun) == len(messages) + 1
    for message, first, last in zip(messages, begun[:-1], begun[1:], strict=True):
        assert list(split(io.BytesIO(stream.getvalue()[first:last]), 10_000)) == [message]


def test_mbox_of_the_standard_library_is_read(tmp_path: Path) -> None:
    """What mailbox.mbox writes comes back as its messages."""
    messages = [b"Subject: one\n\nFrom the start\n", b"Subject: two\n\n\nlast\n\n"]
    box = mailbox.mbox(tmp_path / "x.mbox")
    for message in messages:
        box.add(message)
    box.close()
    with (tmp_path / "x.mbox").open("rb") as stream:
        assert list(split(stream, 10_000)) == messages


def test_long_message_is_cut_and_the_next_one_is_whole() -> None:
    """Memory is bounded by the limit, however long one message or one line is."""
    envelope = b"From a@b Sat Oct  5 17:23:18 2002\n"
    stream = io.BytesIO(envelope + b"A: " + b"x" * 1_000_000 + b"\n\n" + envelope + b"B: short\n\n")
    first, second = split(stream, 1000)
    assert len(first) == 1001
    assert second == b"B: short\n"


def test_prose_that_begins_with_from_does_not_end_a_message() -> None:
    """An envelope line has a clock and a year in it."""
    stream = io.BytesIO(b"From a@b Sat Oct  5 17:23:18 2002\nA: b\n\nFrom the desk of Ann, 2002\n")
    assert list(split(stream, 1000)) == [b"A: b\n\nFrom the desk of Ann, 2002\n"]


def test_what_stands_before_the_first_envelope_is_an_entry_too() -> None:
    """Nothing vanishes; an empty stream holds nothing."""
    stream = io.BytesIO(b"stray\n\nFrom a@b Sat Oct  5 17:23:18 2002\nA: b\n")
    assert list(split(stream, 1000)) == [b"stray\n", b"A: b\n"]
    assert list(split(io.BytesIO(b""), 1000)) == []
