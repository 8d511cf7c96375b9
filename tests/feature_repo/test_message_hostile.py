"""Whatever the bytes are: no exception, finite numbers inside their bounds, clean text, and bounded work."""

import math
import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.features import MESSAGE_FEATURES
from feature_repo.hostile_mail import HOSTILE
from feature_repo.message import MessageLimits, parse
from feature_repo.message_features import MessageFeatures, extract

# No deadline: a test never depends on time.
SETTINGS = settings(
    max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
CHARSETS = (
    b"utf-8", b"utf-7", b"utf-16", b"utf-32", b"hz", b"iso-2022-jp", b"iso-2022-kr", b"shift_jis",
    b"big5", b"gb18030", b"euc-kr", b"koi8-r", b"punycode", b"idna", b"unicode_escape", b"rot13",
    b"zlib", b"undefined", b"x-unknown", b"", b"\xff\x00",
)  # fmt: skip
FRAGMENTS = (
    b"Content-Type: ", b"multipart/mixed; boundary=b", b"text/html; charset=", b"message/rfc822",
    b"\n\n", b"\n--b\n", b"\n--b--\n", b"\n ", b"\r", b"\x00", b"\x02", b"\xed\xa0\x80",
    b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"Subject: ", b"From: ", b"To: ",
    b"Date: ", b"Thu, 99 Foo 99999 99:99:99 +9999", b"=?utf-8?Q?", b"?=", b"<html>", b"<!--", b"-->",
    b"<div style='display:none'>", b"</div>", b"\xe2\x80\x8b", b"\xd0\xb0", b"://", b"@", b'"', b"(",
    b"<", b"________\n", b"mailing list", *CHARSETS,
)  # fmt: skip


def assert_sound(features: MessageFeatures, max_tokens: int = 20_000) -> None:
    """Holds `features` against everything the model relies on."""
    for value, feature in zip(features.numeric.tolist(), MESSAGE_FEATURES, strict=True):
        assert math.isfinite(value), feature.name
        assert feature.low <= value <= feature.high, feature.name
    text = features.text
    assert text.encode("utf-8").decode("utf-8") == text
    assert "\x00" not in text
    assert text == text.lower()
    tokens = text.split()
    assert text == " ".join(tokens)
    assert len(tokens) <= max_tokens
    assert features.text_statistics.token_count == len(tokens)
    assert 0 <= features.text_statistics.unique_share <= 1
    assert 0 <= features.text_statistics.placeholder_share <= 1


@SETTINGS
@given(st.binary(max_size=2000))
def test_arbitrary_bytes_give_sound_features(raw: bytes) -> None:
    """Any bytes at all."""
    assert_sound(extract(parse(raw)))


@SETTINGS
@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=30)), max_size=60))
def test_fragments_of_mail_give_sound_features(pieces: list[bytes]) -> None:
    """Pieces of real syntax in any order go deeper than random bytes do."""
    assert_sound(extract(parse(b"".join(pieces))))


@SETTINGS
@given(st.text(max_size=500))
def test_any_text_gives_sound_features(text: str) -> None:
    """Every character of Unicode in a subject and a body."""
    encoded = text.encode("utf-8", "replace")
    raw = (
        b"Subject: "
        + encoded.replace(b"\n", b" ").replace(b"\r", b" ")
        + b"\nContent-Type: text/plain; charset=utf-8\n\n"
    )
    assert_sound(extract(parse(raw + encoded)))


def _spliced(raw: bytes, other: bytes, chosen: random.Random) -> bytes:
    return raw[: chosen.randrange(len(raw))] + other[chosen.randrange(len(other)) :]


def _truncated(raw: bytes, _other: bytes, chosen: random.Random) -> bytes:
    return raw[: chosen.randrange(len(raw))]


def _flipped(raw: bytes, _other: bytes, chosen: random.Random) -> bytes:
    flipped = bytearray(raw)
    for _ in range(chosen.randrange(1, 200)):
        flipped[chosen.randrange(len(flipped))] = chosen.randrange(256)
    return bytes(flipped)


def _with_duplicated_headers(raw: bytes, other: bytes, chosen: random.Random) -> bytes:
    lines = (other.partition(b"\n\n")[0] + b"\n" + raw.partition(b"\n\n")[0]).split(b"\n")
    chosen.shuffle(lines)
    return b"\n".join(lines) + b"\n\n" + raw.partition(b"\n\n")[2]


def _with_another_charset(raw: bytes, _other: bytes, chosen: random.Random) -> bytes:
    for charset in (b"us-ascii", b"US-ASCII", b"iso-8859-1", b"ISO-8859-1", b"utf-8", b"windows-1252"):
        raw = raw.replace(charset, chosen.choice(CHARSETS))
    return raw


def _with_another_encoding(raw: bytes, _other: bytes, chosen: random.Random) -> bytes:
    for encoding in (b"7bit", b"8bit", b"quoted-printable", b"base64"):
        raw = raw.replace(encoding, chosen.choice((b"base64", b"quoted-printable", b"x-uuencode")))
    return raw


MUTATIONS: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    _spliced,
    _truncated,
    _flipped,
    _with_duplicated_headers,
    _with_another_charset,
    _with_another_encoding,
)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutated_messages_of_the_corpus_give_sound_features(
    mutation: Callable[[bytes, bytes, random.Random], bytes], raw_messages: list[tuple[bytes, str]]
) -> None:
    """Real messages, broken: cut, crossed, flipped, doubled, and with charsets and encodings that lie."""

    @settings(SETTINGS, max_examples=120)
    @given(st.integers(min_value=0, max_value=2**32), st.integers(1, 3))
    def run(seed: int, times: int) -> None:
        chosen = random.Random(seed)
        raw = chosen.choice(raw_messages)[0]
        for _ in range(times):
            raw = mutation(raw, chosen.choice(raw_messages)[0], chosen) or b"x"
        assert_sound(extract(parse(raw)))

    run()


# Tracing 6,046 messages for coverage costs as much as reading them, and other tests take the same lines.
@pytest.mark.no_cover
def test_every_message_of_the_corpus_gives_sound_features(raw_messages: list[tuple[bytes, str]]) -> None:
    """All 6,046, unbroken."""
    for raw, _ in raw_messages:
        assert_sound(extract(parse(raw)))


@settings(SETTINGS, max_examples=60)
@given(
    st.sampled_from(sorted(HOSTILE)),
    st.integers(1, 5000),
    st.builds(MessageLimits, st.integers(1, 5000), st.integers(1, 5), st.integers(1, 3)),
    st.integers(1, 50),
)
def test_limits_hold_whatever_they_are(kind: str, size: int, limits: MessageLimits, max_tokens: int) -> None:
    """Any limits, on messages made to exceed them."""
    message = parse(HOSTILE[kind](size), limits)
    assert message.parts <= limits.max_parts
    assert_sound(extract(message, max_tokens=max_tokens), max_tokens)


def calls_of(action: Callable[[], object]) -> int:
    """Returns how many Python and C functions `action` calls."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.no_cover  # the calls that are counted are slow enough to trace
@pytest.mark.parametrize("kind", HOSTILE)
def test_twice_the_bytes_are_about_twice_the_work(kind: str) -> None:
    """Function calls, counted, of messages made to be slow; `sluice bench` measures what they cost."""
    small, large = (HOSTILE[kind](size) for size in (120_000, 240_000))
    assert_sound(extract(parse(large)))
    once = calls_of(lambda: extract(parse(small)))
    twice = calls_of(lambda: extract(parse(large)))
    # A quadratic step would be four times the work; pieces of bounded size make steps of a few per cent.
    assert twice <= 2.6 * once + 300
