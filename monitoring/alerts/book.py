"""The book of alerts: what runs see and what people do, with the messages about it in one transaction.

Each channel hears a story of its own, read from its outbox rows: `opened` is the first that it hears of an
alert, `worsened` that the severity is above the highest that it heard, `acknowledged` and `resolved` come
only to who heard of the alert. So nothing is told twice, and a channel that wants only critical alerts is
told when one becomes critical, and hears of its end although it is less by then.

While an alert is muted, nothing is told. What a sighting would have told, the first sighting after the mute
tells; what people or quiet runs did is queued, and due when the mute ends.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import UsageError
from kit.home import Home
from monitoring.alerts.event import Change, Evidence
from monitoring.alerts.events import event_of
from monitoring.alerts.severity import rank
from monitoring.alerts.text import plain
from monitoring.delivery import outbox
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import alerts, deliveries
from records.repositories.alerts import PLATFORM, Cause, Note
from records.tables import MonitoringAlert
from records.tables.monitoring_alerts import Severity
from records.tables.registry import NAME_LENGTH, REASON_LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one run saw of a cause."""

    severity: Severity
    summary: str
    """What moved and by how much, in a sentence."""
    evidence: Evidence
    seen_at: datetime
    model_version: str | None = None


class Entry(NamedTuple):
    """An alert after a run or a person wrote into the book, and what became of it."""

    alert: MonitoringAlert
    change: Change | None
    """None if it was only counted, muted or unmuted."""


async def sighted(
    session: AsyncSession, settings: MonitoringSettings, home: Home, cause: Cause, sighting: Sighting
) -> Entry:
    """Opens the alert of `cause` or counts the sighting, and queues what channels have not heard of it.

    Call it in the transaction that writes what the sighting was found in.
    """
    alert, opened = await alerts.open_or_count(
        session,
        cause,
        alerts.Sighting(
            severity=sighting.severity,
            summary=plain(sighting.summary, REASON_LENGTH),
            details=sighting.evidence.model_dump(mode="json"),
            seen_at=sighting.seen_at,
            model_version=sighting.model_version,
        ),
    )
    told = [] if muted(alert, sighting.seen_at) else await _tell_sighting(session, settings, home, alert)
    if opened:
        return Entry(alert, Change.OPENED)
    if Change.WORSENED not in told:
        return Entry(alert, None)
    note = Note(actor=PLATFORM, reason=alert.summary, at=sighting.seen_at)
    await alerts.remark(session, alert.id, f"worsened to {alert.severity}", note)
    return Entry(alert, Change.WORSENED)


async def quiet(
    session: AsyncSession, settings: MonitoringSettings, home: Home, cause: Cause, now: datetime
) -> Entry | None:
    """Counts a run that did not see `cause`; at the `quiet_runs`th in a row its alert is resolved and told.

    Returns None if no alert of it is open.
    """
    alert = await alerts.count_quiet_run(session, cause, resolve_after=settings.quiet_runs, now=now)
    if alert is None:
        return None
    if alert.is_open:
        return Entry(alert, None)
    note = Note(actor=PLATFORM, reason=f"not seen in {alert.quiet_runs} runs", at=now)
    await _tell_note(session, settings, home, alert, Change.RESOLVED, note)
    return Entry(alert, Change.RESOLVED)


async def acknowledge(
    records: Records, settings: MonitoringSettings, home: Home, alert_id: UUID, note: Note
) -> Entry:
    """Notes that someone looks after an open alert, and tells who heard of it.

    Raises:
        UsageError: the note does not say who and why.
        RecordMissing: there is no such open alert.
    """
    said = checked(note)
    async with records.transaction() as session:
        alert = await alerts.acknowledge(session, alert_id, said)
        await _tell_note(session, settings, home, alert, Change.ACKNOWLEDGED, said)
    return Entry(alert, Change.ACKNOWLEDGED)


async def resolve(
    records: Records, settings: MonitoringSettings, home: Home, alert_id: UUID, note: Note
) -> Entry:
    """Closes an open alert, and tells who heard of it; the next sighting opens a new one.

    Raises:
        UsageError: the note does not say who and why.
        RecordMissing: there is no such open alert.
    """
    said = checked(note)
    async with records.transaction() as session:
        alert = await alerts.resolve(session, alert_id, said)
        await _tell_note(session, settings, home, alert, Change.RESOLVED, said)
    return Entry(alert, Change.RESOLVED)


async def mute(records: Records, alert_id: UUID, note: Note, *, until: datetime) -> Entry:
    """Keeps an open alert, and those of its key that follow, from being told before `until`.

    Raises:
        UsageError: the note does not say who and why, or `until` has passed.
        RecordMissing: there is no such open alert.
    """
    said = checked(note)
    if until <= said.at:
        raise UsageError(
            "A mute must end in the future.", next_step="To end one, run `sluice alerts unmute`."
        )
    async with records.transaction() as session:
        return Entry(await alerts.mute(session, alert_id, said, until=until), None)


async def unmute(records: Records, alert_id: UUID, note: Note) -> Entry:
    """Ends the mute of an open alert; its next sighting tells what was not told.

    Raises:
        UsageError: the note does not say who and why.
        RecordMissing: there is no such open alert.
    """
    said = checked(note)
    async with records.transaction() as session:
        return Entry(await alerts.unmute(session, alert_id, said), None)


def muted(alert: MonitoringAlert, now: datetime) -> bool:
    """Tells whether nobody is told of `alert` now."""
    return alert.muted_until is not None and alert.muted_until > now


def checked(note: Note) -> Note:
    """Returns `note` as plain text.

    Raises:
        UsageError: it does not say who and why.
    """
    said = Note(actor=plain(note.actor, NAME_LENGTH), reason=plain(note.reason, REASON_LENGTH), at=note.at)
    if not said.actor or not said.reason:
        raise UsageError(
            "What is done to an alert needs a name and a reason.",
            next_step="Say who you are (--as NAME) and why (--reason TEXT).",
        )
    return said


async def _tell_sighting(
    session: AsyncSession, settings: MonitoringSettings, home: Home, alert: MonitoringAlert
) -> set[Change]:
    heard = await _heard(session, alert)
    told = set()
    for channel in settings.channels:
        before = heard.get(channel.name)
        if before is not None and rank(alert.severity) <= rank(before):
            continue
        change = Change.OPENED if before is None else Change.WORSENED
        event = event_of(alert, change, settings, home, at=alert.last_seen_at)
        if await outbox.tell(session, [channel], event, now=alert.last_seen_at):
            told.add(change)
    return told


async def _tell_note(
    session: AsyncSession,
    settings: MonitoringSettings,
    home: Home,
    alert: MonitoringAlert,
    change: Change,
    note: Note,
) -> None:
    heard = await _heard(session, alert)
    event = event_of(alert, change, settings, home, at=note.at, note=note)
    channels = [channel for channel in settings.channels if channel.name in heard]
    await outbox.tell(session, channels, event, now=note.at, due=alert.muted_until)


async def _heard(session: AsyncSession, alert: MonitoringAlert) -> dict[str, Severity]:
    """Returns the highest severity of `alert` that each channel was told, queued messages included."""
    heard: dict[str, Severity] = {}
    for message in await deliveries.of_alert(session, alert.id):
        if message.payload["change"] not in (Change.OPENED, Change.WORSENED):
            continue
        told = Severity(message.payload["severity"])
        heard[message.channel] = max(heard.get(message.channel, told), told, key=rank)
    return heard
