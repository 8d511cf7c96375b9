"""One cause is one open alert, however many see it at once, until people or quiet close it."""

import asyncio
from datetime import datetime
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from contracts.environments import Environment
from records.engine import Records
from records.errors import RecordMissing
from records.repositories import alerts
from records.repositories.alerts import Cause, Note, Seen, Sighting
from records.tables import MonitoringAlert
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.records.rows import after

HEADER = Cause("spam-detector", Environment.PRODUCTION, AlertKind.DATA_DRIFT, "header")


async def see(records: Records, seconds: float, *, cause: Cause = HEADER, psi: float = 0.3) -> Seen:
    """Records one sighting in a transaction of its own."""
    sighting = Sighting(
        severity=Severity.WARNING if psi < 0.5 else Severity.CRITICAL,
        summary=f"PSI {psi}",
        details={"psi": psi},
        seen_at=after(seconds),
        model_version="7",
    )
    async with records.transaction() as session:
        return await alerts.open_or_count(session, cause, sighting)


def note(seconds: float, actor: str = "ada") -> Note:
    """Returns who, why and when."""
    return Note(actor=actor, reason="looked at it", at=after(seconds))


async def test_the_same_cause_while_open_is_counted_and_renewed(records: Records) -> None:
    """One row with two sightings, the latest figures, and the time it began."""
    first = await see(records, 0)
    again = await see(records, 60, psi=0.9)
    assert (first.opened, again.opened) == (True, False)
    assert again.alert.id == first.alert.id
    assert (again.alert.occurrences, again.alert.severity, again.alert.details) == (
        2,
        "critical",
        {"psi": 0.9},
    )
    assert (again.alert.opened_at, again.alert.last_seen_at) == (after(0), after(60))


async def test_twenty_who_see_it_at_once_open_one_alert(records: Records) -> None:
    """Sessions of a connection each, all together: one opened it, and every sighting is counted."""
    seen = await asyncio.gather(*(see(records, number) for number in range(20)))
    assert sum(one.opened for one in seen) == 1
    async with records.reading() as session:
        (alert,) = await alerts.listed(session)
        assert await session.scalar(select(func.count()).select_from(MonitoringAlert)) == 1
    assert alert.occurrences == 20


async def test_other_causes_are_other_alerts(records: Records) -> None:
    """Model, environment, kind and family each make a difference."""
    causes = [
        HEADER,
        HEADER._replace(model_name="iris"),
        HEADER._replace(environment=Environment.STAGING),
        HEADER._replace(kind=AlertKind.CONCEPT_DRIFT),
        HEADER._replace(family="sender"),
    ]
    assert all([(await see(records, 0, cause=cause)).opened for cause in causes])
    async with records.reading() as session:
        assert len(await alerts.listed(session)) == 5
        assert len(await alerts.listed(session, environment=Environment.STAGING)) == 1


async def test_quiet_resolves_at_the_nth_run_and_not_before(records: Records) -> None:
    """Three quiet runs in a row; a sighting in between begins the count again."""

    async def quiet(seconds: float) -> MonitoringAlert | None:
        async with records.transaction() as session:
            return await alerts.count_quiet_run(session, HEADER, resolve_after=3, now=after(seconds))

    assert await quiet(0) is None
    await see(records, 1)
    await quiet(2)
    await quiet(3)
    assert (await see(records, 4)).alert.quiet_runs == 0
    open_still = [await quiet(seconds) for seconds in (5, 6)]
    assert all(alert is not None and alert.is_open for alert in open_still)
    closed = await quiet(7)
    assert closed is not None
    assert closed.resolved_at == after(7)
    assert closed.history == [
        {
            "at": after(7).isoformat(),
            "action": "resolved",
            "actor": "platform",
            "reason": "not seen in 3 runs",
        }
    ]
    assert await quiet(8) is None


async def test_an_acknowledged_alert_is_open_still(records: Records) -> None:
    """Who looks after it is known, and the same cause opens no second one."""
    alert = (await see(records, 0)).alert
    async with records.transaction() as session:
        await alerts.acknowledge(session, alert.id, note(5))
    async with records.transaction() as session:
        await alerts.acknowledge(session, alert.id, note(9, "bob"))
    assert not (await see(records, 10)).opened
    async with records.reading() as session:
        kept = await alerts.by_id(session, alert.id)
    assert kept is not None
    assert kept.acknowledged_at == after(5)
    assert [(entry["actor"], entry["action"]) for entry in kept.history] == [
        ("ada", "acknowledged"),
        ("bob", "acknowledged"),
    ]


async def test_notes_made_at_once_are_all_kept(records: Records) -> None:
    """Ten people at ten keyboards: ten entries."""
    alert = (await see(records, 0)).alert

    async def acknowledge(number: int) -> None:
        async with records.transaction() as session:
            await alerts.acknowledge(session, alert.id, note(number, f"person {number}"))

    await asyncio.gather(*(acknowledge(number) for number in range(10)))
    async with records.reading() as session:
        kept = await alerts.by_id(session, alert.id)
    assert kept is not None
    assert {entry["actor"] for entry in kept.history} == {f"person {number}" for number in range(10)}


async def test_after_it_is_resolved_the_same_cause_opens_a_new_one(records: Records) -> None:
    """The old row stays as it was."""
    old = (await see(records, 0)).alert
    async with records.transaction() as session:
        await alerts.resolve(session, old.id, note(5))
    new = await see(records, 10)
    assert new.opened
    assert new.alert.id != old.id
    async with records.reading() as session:
        assert [alert.id for alert in await alerts.listed(session)] == [new.alert.id]
        assert len(await alerts.listed(session, open_only=False)) == 2
    for change in (alerts.resolve, alerts.acknowledge):
        with pytest.raises(RecordMissing, match="no open alert"):
            await _changed(records, change, old.id)
    with pytest.raises(RecordMissing):
        await _changed(records, alerts.resolve, uuid4())


@pytest.mark.parametrize(("until", "kept"), [(after(100), True), (after(9), False)])
async def test_a_mute_outlives_its_alert_until_its_time(
    records: Records, until: datetime, kept: bool
) -> None:
    """The next alert of the same key is quiet too, but not beyond the instant that was named."""
    alert = (await see(records, 0)).alert
    async with records.transaction() as session:
        await alerts.mute(session, alert.id, note(1), until=until)
        await alerts.resolve(session, alert.id, note(5))
    successor = (await see(records, 10)).alert
    assert successor.muted_until == (until if kept else None)
    assert (await see(records, 10, cause=HEADER._replace(family="sender"))).alert.muted_until is None


async def _changed(records: Records, change: object, alert_id: object) -> None:
    async with records.transaction() as session:
        await change(session, alert_id, note(20))  # type: ignore[operator]
