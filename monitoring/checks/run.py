"""All checks once: what each found goes into the book of alerts, and how far it has looked is remembered."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from kit.files import locked
from monitoring.alerts import book
from monitoring.checks import gateway, memory, model_error, prediction_loss, stale_features
from monitoring.checks.finding import Finding, Look
from monitoring.checks.memory import Looked
from monitoring.checks.snapshot import Snapshot
from monitoring.durations import duration
from monitoring.errors import GatewayUnread
from monitoring.parts import Parts
from records.repositories import alerts
from records.tables.monitoring_alerts import AlertKind, Severity

_LONGEST: Final = timedelta(hours=1)
"""Longest that a look waits for enough requests to judge by."""

_KINDS: Final = (AlertKind.PREDICTION_LOSS, AlertKind.MODEL_ERROR, AlertKind.STALE_FEATURES)

log: Final = structlog.get_logger(__name__)


class Said(BaseModel):
    """What was said of one cause."""

    model_config = ConfigDict(frozen=True)

    model: str
    environment: Environment
    kind: AlertKind
    family: str
    severity: Severity | None
    """None: the cause was not seen any more."""
    summary: str
    change: str | None
    """What became of its alert: opened, worsened, resolved or nothing."""


class Checked(BaseModel):
    """What all checks said."""

    model_config = ConfigDict(frozen=True)

    gateway: str | None
    """The gateway that was asked; None if none is known here."""
    unread: str | None
    """Why its figures could not be read."""
    said: tuple[Said, ...]
    open: tuple[str, ...]
    """The keys of the alerts of these kinds that are open now, also those that this look could not judge."""


async def run(parts: Parts, *, now: datetime) -> Checked:
    """Runs all checks once and returns what they said.

    A gateway that cannot be read is told in the result, and keeps no other check from being made.

    Raises:
        Locked: another process is at it.
        RecordsUnavailable: the records do not answer; what was not written is looked at again.
    """
    with locked(parts.home.root / "monitoring" / "checks.lock", what="A check"):
        looked = memory.read(parts.home)
        said = []
        address, snapshot, unread = gateway.address(parts), None, None
        if address is not None:
            try:
                snapshot = await gateway.snapshot(address, now=now)
            except GatewayUnread as error:
                unread = error.message
            parts.measures.gateway(read=snapshot is not None)
        if snapshot is not None:
            looked, some = await _of_gateway(parts, looked, snapshot, now)
            said += some
        looked, some = await _of_records(parts, looked, now)
        said += some
        memory.write(parts.home, looked)
        if unread is not None:
            log.warning("gateway_unread", reason=unread)
        async with parts.records.reading() as session:
            still = [each.key for each in await alerts.listed(session) if each.kind in _KINDS]
        return Checked(gateway=address, unread=unread, said=tuple(said), open=tuple(still))


async def _of_gateway(parts: Parts, looked: Looked, now: Snapshot, at: datetime) -> tuple[Looked, list[Said]]:
    async with parts.records.transaction() as session:
        found = await prediction_loss.look(session, Look(now, looked.loss, at))
        said = await _told(session, parts, found, at)
        errors = dict(looked.errors)
        for environment in Environment:
            look = Look(now, looked.errors.get(environment.value), at)
            judged = await model_error.look(session, look, environment, parts.settings.error_share)
            if judged is not None or at - look.since > _LONGEST:
                errors[environment.value] = now
            said += await _told(session, parts, judged or [], at)
    # Now, and not at the end: what is in the book is not to be looked at again.
    looked = looked.model_copy(update={"loss": now, "errors": errors})
    memory.write(parts.home, looked)
    return looked, said


async def _of_records(parts: Parts, looked: Looked, at: datetime) -> tuple[Looked, list[Said]]:
    since = max(looked.features or at - _LONGEST, at - _LONGEST)
    every = duration(parts.settings.ingest_every)
    async with parts.records.transaction() as session:
        judged = await stale_features.defaulted(session, since, at, parts.settings.defaulted_share)
        said = await _told(session, parts, judged or [], at)
        expected = parts.home.features.is_dir()
        waiting = await stale_features.behind(session, every, at, expected=expected)
        said += await _told(session, parts, waiting, at)
    return looked if judged is None else looked.model_copy(update={"features": at}), said


async def _told(session: AsyncSession, parts: Parts, findings: Sequence[Finding], at: datetime) -> list[Said]:
    said = []
    for cause, sighting in findings:
        if sighting is None:
            entry = await book.quiet(session, parts.settings, parts.home, cause, at)
            if entry is None:
                continue
        else:
            entry = await book.sighted(session, parts.settings, parts.home, cause, sighting)
        said.append(
            Said(
                model=cause.model_name,
                environment=cause.environment,
                kind=cause.kind,
                family=cause.family,
                severity=None if sighting is None else sighting.severity,
                summary=entry.alert.summary,
                change=entry.change,
            )
        )
    return said
