"""Every channel hears each change of an alert once, in order, and nothing that it has no beginning of."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from kit.errors import UsageError
from monitoring.alerts.book import Sighting, sighted
from monitoring.alerts.event import Change, Evidence, Moved
from monitoring.delivery.channel import Channel
from records.errors import RecordMissing
from records.tables.monitoring_alerts import AlertKind, Severity
from records.tables.registry import REASON_LENGTH
from records.tables.webhook_deliveries import DeliveryStatus
from tests.monitoring.alerts.story import EVIDENCE, HEADER, Book, channels, minute, note

INFO, WARNING, CRITICAL = Severity


async def test_the_first_sighting_is_told_and_the_same_again_is_counted(book: Book) -> None:
    """One message with all that a person needs, due at once; nine more sightings say nothing."""
    first = await book.see(0)
    assert first.change is Change.OPENED
    for number in range(1, 10):
        entry = await book.see(number)
        assert (entry.change, entry.alert.id, entry.alert.occurrences) == (None, first.alert.id, number + 1)
    (message,) = await book.messages()
    assert (message.status, message.next_attempt_at) == (DeliveryStatus.PENDING, minute(0))
    (event,) = await book.events()
    assert (event.change, event.severity, event.evidence) == (Change.OPENED, WARNING, EVIDENCE)
    assert (event.key, event.version, event.summary) == (HEADER.key, "7", "The header features drifted.")
    assert await book.heard("on-call") == []


@pytest.mark.parametrize(
    ("seen", "all_hear", "on_call_hears"),
    [
        ([INFO, WARNING, CRITICAL], ["opened", "worsened:warning", "worsened:critical"], ["opened"]),
        ([WARNING, INFO, WARNING], ["opened"], []),
        ([INFO, CRITICAL, WARNING, CRITICAL], ["opened", "worsened:critical"], ["opened"]),
        ([CRITICAL, CRITICAL], ["opened"], ["opened"]),
    ],
)
async def test_it_worsens_once_to_each_severity_above_the_highest_told(
    book: Book, seen: Sequence[Severity], all_hear: Sequence[str], on_call_hears: Sequence[str]
) -> None:
    """Who wants critical alerts only hears of one that becomes critical as of a new one."""
    for number, severity in enumerate(seen):
        await book.see(number, severity)
    assert await book.heard() == all_hear
    assert await book.heard("on-call") == on_call_hears


async def test_whoever_heard_of_it_hears_its_end_although_it_is_mild_by_then(book: Book) -> None:
    """And who did not, does not; quiet runs resolve at the third, and not before."""
    await book.see(0, CRITICAL)
    await book.see(1, INFO)
    other = HEADER._replace(family="sender")
    await book.see(2, INFO, cause=other)
    for number in (3, 4):
        for cause in (HEADER, other):
            entry = await book.quiet(number, cause)
            assert entry is not None
            assert entry.change is None
    assert await book.heard("on-call") == ["opened"]
    for cause in (HEADER, other):
        closed = await book.quiet(5, cause)
        assert closed is not None
        assert closed.change is Change.RESOLVED
        assert await book.quiet(6, cause) is None
    assert await book.heard() == ["opened", "opened", "resolved", "resolved"]
    assert await book.heard("on-call") == ["opened", "resolved"]
    event = (await book.events("on-call"))[-1]
    assert (event.actor, event.reason, event.at) == ("platform", "not seen in 3 runs", minute(5))


async def test_after_its_end_the_same_cause_is_told_as_a_new_alert(book: Book) -> None:
    """A second story, of another alert."""
    first = (await book.see(0)).alert
    await book.resolve(first, note(1))
    second = await book.see(2)
    assert second.change is Change.OPENED
    assert await book.heard() == ["opened", "resolved", "opened"]
    assert len({event.alert_id for event in await book.events()}) == 2


async def test_what_people_do_is_told_once_with_who_and_why(book: Book) -> None:
    """The first acknowledgement is told, all of them are kept; a resolved alert takes no more."""
    alert = (await book.see(0)).alert
    await book.acknowledge(alert, note(1))
    await book.acknowledge(alert, note(2, "bob"))
    await book.resolve(alert, note(3, "eve", "version 8 serves"))
    assert await book.heard() == ["opened", "acknowledged", "resolved"]
    told = [(event.actor, event.reason) for event in await book.events()]
    assert told == [("", ""), ("ada", "looked at it"), ("eve", "version 8 serves")]
    (kept,) = await book.alerts()
    assert [entry["actor"] for entry in kept.history] == ["ada", "bob", "eve"]
    for change in (book.acknowledge, book.resolve):
        with pytest.raises(RecordMissing, match="no open alert"):
            await change(alert, note(4))
        with pytest.raises(RecordMissing, match="no open alert"):
            await change(uuid4(), note(4))
    assert len(await book.heard()) == 3


async def test_an_alert_that_worsens_while_someone_looks_after_it_is_told(book: Book) -> None:
    """An acknowledgement is of what was known then."""
    alert = (await book.see(0)).alert
    await book.acknowledge(alert, note(1))
    await book.see(2)
    assert (await book.see(3, CRITICAL)).change is Change.WORSENED
    assert await book.heard() == ["opened", "acknowledged", "worsened:critical"]
    await book.see(4, CRITICAL)
    (kept,) = await book.alerts()
    assert [(entry["actor"], entry["action"]) for entry in kept.history] == [
        ("ada", "acknowledged"),
        ("platform", "worsened to critical"),
    ]


async def test_a_muted_alert_tells_nobody_until_the_mute_ends(book: Book) -> None:
    """Worse and worse in silence; the first sighting after it tells how bad it is, and the next nothing."""
    alert = (await book.see(0, INFO)).alert
    await book.mute(alert, 1, 10)
    for number, severity in ((2, WARNING), (5, CRITICAL), (9.9, WARNING)):
        assert (await book.see(number, severity)).change is None
    assert await book.heard() == ["opened"]
    await book.see(10, WARNING)
    await book.see(11, WARNING)
    assert await book.heard() == ["opened", "worsened:warning"]
    assert await book.heard("on-call") == []


async def test_an_alert_that_was_muted_from_its_beginning_is_told_when_the_mute_ends(book: Book) -> None:
    """The mute goes over to the next alert of the key, and so does its end."""
    first = (await book.see(0)).alert
    await book.mute(first, 1, 10)
    await book.resolve(first, note(2))
    second = await book.see(3)
    assert second.change is Change.OPENED
    assert [event.alert_id for event in await book.events()] == [first.id, first.id]
    await book.see(12)
    assert [(event.change, event.alert_id) for event in await book.events()] == [
        (Change.OPENED, first.id),
        (Change.RESOLVED, first.id),
        (Change.OPENED, second.alert.id),
    ]


async def test_what_people_do_to_a_muted_alert_waits_for_the_end_of_the_mute(book: Book) -> None:
    """An incident that was opened somewhere is closed there, later; one that was not, is not mentioned."""
    alert = (await book.see(0)).alert
    await book.mute(alert, 1, 60)
    await book.acknowledge(alert, note(2))
    for number in (3, 4, 5):
        await book.quiet(number)
    assert [(message.change, message.next_attempt_at) for message in await book.messages()] == [
        ("opened", minute(0)),
        ("acknowledged", minute(60)),
        ("resolved", minute(60)),
    ]
    assert await book.heard("on-call") == []


async def test_the_end_of_a_mute_by_hand_holds_for_the_alerts_that_follow(book: Book) -> None:
    """The next sighting is told, and no earlier alert of the key brings the mute back."""
    first = (await book.see(0)).alert
    await book.mute(first, 1, 600)
    await book.resolve(first, note(2))
    second = (await book.see(3)).alert
    assert second.muted_until == minute(600)
    await book.unmute(second, 4)
    await book.see(5)
    await book.resolve(second, note(6))
    third = (await book.see(7)).alert
    assert third.muted_until is None
    assert [event.alert_id for event in await book.events()].count(third.id) == 1


async def test_a_mute_needs_an_end_that_is_to_come(book: Book) -> None:
    """An alert that is not there cannot be muted either."""
    alert = (await book.see(0)).alert
    for until in (4, 5):
        with pytest.raises(UsageError, match="must end in the future"):
            await book.mute(alert, 5, until)
    await book.resolve(alert, note(6))
    with pytest.raises(RecordMissing):
        await book.mute(alert, 7, 8)
    with pytest.raises(RecordMissing):
        await book.unmute(alert, 7)


async def test_nothing_is_said_to_a_channel_that_never_heard_of_it(book: Book) -> None:
    """No channel at all, then one: an acknowledgement is no news to it, and the next sighting is."""
    silent = book.with_channels()
    alert = (await silent.see(0)).alert
    await silent.see(1, CRITICAL)
    await book.acknowledge(alert, note(2))
    assert await book.heard() == []
    await book.see(3)
    assert await book.heard() == ["opened"]
    await book.resolve(alert, note(4))
    assert await book.heard() == ["opened", "resolved"]


async def test_each_channel_hears_what_it_wants(book: Book) -> None:
    """By environment and by kind."""
    staging = Channel.model_validate(
        channels("a")[0].model_dump() | {"name": "staging", "environments": ("staging",)}
    )
    losses = Channel.model_validate(
        channels("a")[0].model_dump() | {"name": "losses", "kinds": ("prediction_loss",)}
    )
    both = book.with_channels(staging, losses)
    await both.see(0)
    await both.see(1, cause=HEADER._replace(kind=AlertKind.PREDICTION_LOSS))
    assert (await book.heard("staging"), await book.heard("losses")) == ([], ["opened"])


@pytest.mark.parametrize(("actor", "reason"), [("", "why"), ("ada", ""), (" \t", "why"), ("ada", "\u202e\n")])
async def test_a_note_says_who_and_why(book: Book, actor: str, reason: str) -> None:
    """A blank, or what nobody can see, is neither; nothing is written."""
    alert = (await book.see(0)).alert
    for change in (book.acknowledge, book.resolve):
        with pytest.raises(UsageError, match="a name and a reason"):
            await change(alert, note(1, actor, reason))
    (kept,) = await book.alerts()
    assert kept.history == []
    assert await book.heard() == ["opened"]


async def test_hostile_and_endless_words_are_kept_as_short_plain_text(book: Book) -> None:
    """Of a person, of a summary, of evidence: the row is written, and the message can be rendered."""
    hostile = "\x1b[2J\x00\u202e<script>\ud800" + "x" * 5000
    evidence = Evidence(
        rows=1, moved=(Moved(name=hostile, reference=hostile, current=hostile),), examples=(hostile,)
    )
    alert = (await book.see(0, summary=hostile, evidence=evidence)).alert
    await book.acknowledge(alert, note(1, hostile, hostile))
    (kept,) = await book.alerts()
    for text in (kept.summary, kept.history[0]["reason"], kept.history[0]["actor"]):
        assert text.startswith("[2J <script> x")
        assert text.isprintable()
        assert len(text) <= REASON_LENGTH
    assert len(kept.history[0]["actor"]) == 128
    assert [event.change for event in await book.events()] == [Change.OPENED, Change.ACKNOWLEDGED]


async def test_of_a_transaction_that_fails_neither_alert_nor_message_is_left(book: Book) -> None:
    """And the next one that succeeds tells as if nothing had been."""

    async def broken() -> None:
        sighting = Sighting(severity=WARNING, summary="s", evidence=EVIDENCE, seen_at=minute(0))
        async with book.records.transaction() as session:
            await sighted(session, book.settings, book.home, HEADER, sighting)
            raise KeyError

    with pytest.raises(KeyError):
        await broken()
    assert (await book.alerts(), await book.messages()) == ([], [])
    await book.see(1)
    assert await book.heard() == ["opened"]


async def test_twenty_who_see_it_at_once_tell_each_channel_once(book: Book) -> None:
    """Mild and critical mixed: one alert, one beginning for each channel, worse at most once."""
    severities = [WARNING, CRITICAL] * 10
    entries = await asyncio.gather(*(book.see(at / 60, which) for at, which in enumerate(severities)))
    assert [entry.change for entry in entries].count(Change.OPENED) == 1
    (alert,) = await book.alerts()
    assert alert.occurrences == 20
    assert await book.heard() in (["opened"], ["opened", "worsened:critical"])
    assert await book.heard("on-call") == ["opened"]


async def test_people_and_runs_at_once_leave_whole_stories(book: Book) -> None:
    """Sightings, quiet runs, acknowledgements and ends together: each alert begins once and ends once."""
    alert = (await book.see(0)).alert

    async def ends() -> None:
        try:
            await book.resolve(alert, note(5))
        except RecordMissing:
            await book.acknowledge(alert, note(5))

    work = [book.see(1 + at) for at in range(6)]
    results = await asyncio.gather(
        *work, *(book.quiet(7 + at) for at in range(6)), ends(), ends(), return_exceptions=True
    )
    assert all(isinstance(each, RecordMissing) for each in results if isinstance(each, BaseException))
    events = await book.events()
    for one in await book.alerts():
        story = [event.change for event in events if event.alert_id == one.id]
        assert story.count(Change.OPENED) == 1
        assert story.count(Change.RESOLVED) == (0 if one.is_open else 1)
    assert len([one for one in await book.alerts() if one.is_open]) <= 1
