"""Alerts: opened once for each cause, counted while open, closed by people or by quiet."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from records.errors import RecordMissing
from records.keys import time_ordered_uuid
from records.repositories.upserts import upsert
from records.tables import MonitoringAlert
from records.tables.monitoring_alerts import AlertKind, Severity

PLATFORM = "platform"
"""The actor of what happened by itself."""


class Cause(NamedTuple):
    """What is wrong, whichever run sees it."""

    model_name: str
    environment: Environment
    kind: AlertKind
    family: str = ""

    @property
    def key(self) -> str:
        """The stable key."""
        return f"{self.model_name}/{self.environment}/{self.kind}/{self.family}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one run saw of a cause."""

    severity: Severity
    summary: str
    details: dict[str, Any]
    seen_at: datetime
    model_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Who does something to an alert, why, and when."""

    actor: str
    reason: str
    at: datetime


class Seen(NamedTuple):
    """The open alert of a cause, and whether this sighting opened it."""

    alert: MonitoringAlert
    opened: bool


async def open_or_count(session: AsyncSession, cause: Cause, sighting: Sighting) -> Seen:
    """Opens the alert of `cause`, or counts one more sighting on the open one, in one statement.

    A sighting renews severity, summary, details and version, and ends a row of quiet runs. A new alert takes
    over the mute of the one before it.
    """
    before = (
        select(MonitoringAlert.muted_until)
        .where(MonitoringAlert.key == cause.key)
        .order_by(MonitoringAlert.opened_at.desc(), MonitoringAlert.id.desc())
        .limit(1)
        .subquery()
    )
    muted = select(before.c.muted_until).where(before.c.muted_until > sighting.seen_at).scalar_subquery()
    insert = upsert(session, MonitoringAlert).values(
        id=(key := time_ordered_uuid()),
        key=cause.key,
        model_name=cause.model_name,
        environment=cause.environment,
        kind=cause.kind,
        family=cause.family,
        model_version=sighting.model_version,
        severity=sighting.severity,
        summary=sighting.summary,
        details=sighting.details,
        opened_at=sighting.seen_at,
        last_seen_at=sighting.seen_at,
        occurrences=1,
        quiet_runs=0,
        muted_until=muted,
        history=[],
    )
    renewed = ("severity", "summary", "details", "model_version", "last_seen_at")
    statement = insert.on_conflict_do_update(
        index_elements=["key"],
        index_where=MonitoringAlert.resolved_at.is_(None),
        set_={
            **{name: insert.excluded[name] for name in renewed},
            "occurrences": MonitoringAlert.occurrences + 1,
            "quiet_runs": 0,
        },
    ).returning(MonitoringAlert)
    alert = (await session.scalars(statement, execution_options={"populate_existing": True})).one()
    return Seen(alert, opened=alert.id == key)


async def count_quiet_run(
    session: AsyncSession, cause: Cause, *, resolve_after: int, now: datetime
) -> MonitoringAlert | None:
    """Counts a run that did not see `cause`, and resolves its alert at the `resolve_after`th in a row.

    Returns the alert, resolved or not, or None if none was open.
    """
    query = select(MonitoringAlert).where(
        MonitoringAlert.key == cause.key, MonitoringAlert.resolved_at.is_(None)
    )
    alert = await session.scalar(query.with_for_update())
    if alert is None:
        return None
    alert.quiet_runs += 1
    if alert.quiet_runs >= resolve_after:
        alert.resolved_at = now
        _append(
            alert, "resolved", Note(actor=PLATFORM, reason=f"not seen in {alert.quiet_runs} runs", at=now)
        )
    await session.flush()
    return alert


async def acknowledge(session: AsyncSession, alert_id: UUID, note: Note) -> MonitoringAlert:
    """Notes that someone looks after an open alert, and returns it.

    Raises:
        RecordMissing: there is no such open alert.
    """
    alert = await _open_one(session, alert_id)
    alert.acknowledged_at = alert.acknowledged_at or note.at
    _append(alert, "acknowledged", note)
    await session.flush()
    return alert


async def resolve(session: AsyncSession, alert_id: UUID, note: Note) -> MonitoringAlert:
    """Closes an open alert and returns it; the next sighting of its cause opens a new one.

    Raises:
        RecordMissing: there is no such open alert.
    """
    alert = await _open_one(session, alert_id)
    alert.resolved_at = note.at
    _append(alert, "resolved", note)
    await session.flush()
    return alert


async def mute(session: AsyncSession, alert_id: UUID, note: Note, *, until: datetime) -> MonitoringAlert:
    """Keeps an open alert and its followers of the same key quiet before `until`, and returns it.

    Raises:
        RecordMissing: there is no such open alert.
    """
    alert = await _open_one(session, alert_id)
    alert.muted_until = until
    _append(alert, f"muted until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC", note)
    await session.flush()
    return alert


async def unmute(session: AsyncSession, alert_id: UUID, note: Note) -> MonitoringAlert:
    """Ends the mute of an open alert and returns it; the next sighting is told.

    Raises:
        RecordMissing: there is no such open alert.
    """
    alert = await _open_one(session, alert_id)
    alert.muted_until = None
    _append(alert, "unmuted", note)
    await session.flush()
    return alert


async def remark(session: AsyncSession, alert_id: UUID, action: str, note: Note) -> bool:
    """Adds an entry to the history of an alert, open or not; returns False if there is none of this id."""
    alert = await session.get(MonitoringAlert, alert_id, with_for_update=True, populate_existing=True)
    if alert is None:
        return False
    _append(alert, action, note)
    await session.flush()
    return True


async def by_id(session: AsyncSession, alert_id: UUID) -> MonitoringAlert | None:
    """Returns the alert, open or not, or None."""
    return await session.get(MonitoringAlert, alert_id)


async def latest(session: AsyncSession, cause: Cause) -> MonitoringAlert | None:
    """Returns the alert of `cause` that was opened last, open or not, or None."""
    query = select(MonitoringAlert).where(MonitoringAlert.key == cause.key)
    query = query.order_by(MonitoringAlert.opened_at.desc(), MonitoringAlert.id.desc()).limit(1)
    found: MonitoringAlert | None = await session.scalar(query)
    return found


async def open_of(
    session: AsyncSession, model_name: str, environment: Environment, kind: AlertKind
) -> list[MonitoringAlert]:
    """Returns the open alerts of a kind of one model and environment, ordered by key."""
    query = select(MonitoringAlert).where(
        MonitoringAlert.model_name == model_name,
        MonitoringAlert.environment == environment,
        MonitoringAlert.kind == kind,
        MonitoringAlert.resolved_at.is_(None),
    )
    return list(await session.scalars(query.order_by(MonitoringAlert.key)))


async def listed(
    session: AsyncSession, *, open_only: bool = True, environment: Environment | None = None, limit: int = 100
) -> list[MonitoringAlert]:
    """Returns the latest alerts, newest first: the open ones, or all."""
    query = select(MonitoringAlert)
    if open_only:
        query = query.where(MonitoringAlert.resolved_at.is_(None))
    if environment is not None:
        query = query.where(MonitoringAlert.environment == environment)
    query = query.order_by(MonitoringAlert.opened_at.desc(), MonitoringAlert.id.desc()).limit(limit)
    return list(await session.scalars(query))


async def open_counts(session: AsyncSession) -> dict[tuple[str, str, str], int]:
    """Returns how many alerts are open, by environment, kind and severity."""
    table = MonitoringAlert
    named = (table.environment, table.kind, table.severity)
    query = select(*named, func.count()).where(table.resolved_at.is_(None)).group_by(*named)
    return {(place, kind, severity): count for place, kind, severity, count in await session.execute(query)}


async def _open_one(session: AsyncSession, alert_id: UUID) -> MonitoringAlert:
    query = select(MonitoringAlert).where(
        MonitoringAlert.id == alert_id, MonitoringAlert.resolved_at.is_(None)
    )
    # Locked until the transaction ends, so that of two people's notes none is lost; SQLite has one writer.
    alert = await session.scalar(query.with_for_update(), execution_options={"populate_existing": True})
    if alert is None:
        raise RecordMissing(
            f"There is no open alert {alert_id}.", next_step="`sluice alerts list` shows the open ones."
        )
    return alert


def _append(alert: MonitoringAlert, action: str, note: Note) -> None:
    # A new list: SQLAlchemy does not see an append to a JSON value.
    entry = {"at": note.at.isoformat(), "action": action, "actor": note.actor, "reason": note.reason}
    alert.history = [*alert.history, entry]
