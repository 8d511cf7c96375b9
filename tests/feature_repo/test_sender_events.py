"""Which messages make an event, and under which key."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from contracts.labels import Label
from feature_repo.addresses import MAX_ADDRESS_CHARACTERS, NOBODY, Address, address
from feature_repo.events import EARLIEST, LATEST, MessageEvent, label_event, message_event, subject_hash
from kit.errors import Bug

NOON = datetime(2002, 9, 1, 12, 0, 0, 999_999, tzinfo=UTC)


def event(sender: str = "a@x.org", at: datetime | None = NOON) -> MessageEvent | None:
    """Returns the event of one message."""
    return message_event(message_id="0" * 64, sender=sender, at=at, subject="Hello", has_link=False)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Ann@Example.ORG", Address("ann@example.org", "example.org")),
        ("  ann@example.org\r\n", Address("ann@example.org", "example.org")),
        ("a@b@example.org", Address("a@b@example.org", "example.org")),
        ("postmaster", Address("postmaster", "")),
        ("жук@пример.рф", Address("жук@пример.рф", "пример.рф")),
        ("a" * (MAX_ADDRESS_CHARACTERS - 2) + "@b", Address("a" * (MAX_ADDRESS_CHARACTERS - 2) + "@b", "b")),
    ],
)
def test_an_address_has_one_key(text: str, key: Address) -> None:
    """Case and outer blanks do not matter, and a key is its own key."""
    assert address(text) == key
    assert address(key.sender) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "a@x\0y",
        "a b@x",
        "a@\udc80x",
        "a\x85b@x",
        "a" * (MAX_ADDRESS_CHARACTERS - 1) + "@b",
        "x" * 10**7,
    ],
)
def test_what_cannot_be_an_address_is_nobody(text: str) -> None:
    """Nothing is cut or repaired, so that no stranger gets the history of another."""
    assert address(text) == NOBODY
    assert event(sender=text) is None


def test_a_message_time_is_rounded_down_and_a_label_time_up() -> None:
    """So neither is seen before it was there."""
    made = event()
    assert made is not None
    assert made.time == int(NOON.timestamp())
    assert label_event(message_id="0" * 64, label=Label.SPAM, at=NOON).time == made.time + 1


def test_the_time_zone_of_an_event_does_not_matter() -> None:
    """The same instant is the same second."""
    assert event(at=NOON.astimezone(timezone(timedelta(hours=-7)))) == event()


@pytest.mark.parametrize("at", [None, EARLIEST - timedelta(seconds=1), LATEST])
def test_without_a_time_to_believe_there_is_no_event(at: datetime | None) -> None:
    """Such a message is still scored, with defaults."""
    assert event(at=at) is None


@pytest.mark.parametrize("at", [EARLIEST, LATEST - timedelta(seconds=1)])
def test_the_bounds_of_belief_are_believed(at: datetime) -> None:
    """Both sides of each bound."""
    assert event(at=at) is not None


def test_a_time_without_zone_is_a_bug() -> None:
    """Nobody guesses the zone."""
    with pytest.raises(Bug):
        event(at=datetime(2002, 9, 1))  # noqa: DTZ001 - the mistake under test


def test_subjects_are_told_apart_whatever_case_and_blanks() -> None:
    """A hash of the words, and no text."""
    assert subject_hash(" Free  MONEY\t") == subject_hash("free money")
    assert subject_hash("free money") != subject_hash("free honey")
    assert len(subject_hash("\udc80" * 1000)) == 16
