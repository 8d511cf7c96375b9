"""Stale features, from rows as gateways write them: answers with defaults, and history left behind."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.environments import Environment
from contracts.tensors import SPAM_DETECTOR
from kit.home import Home
from monitoring.checks.run import Said, run
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import alerts, jobs, predictions
from records.repositories.predictions import NewPrediction
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.records.conftest import address, migrated_file, postgresql, records

__all__ = ["address", "migrated_file", "postgresql", "records"]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def later(minutes: float) -> datetime:
    """Returns the instant so long after noon."""
    return NOON + timedelta(minutes=minutes)


def rows(count: int, name: str, **changed: Any) -> list[NewPrediction]:
    """Returns answers of the mail model in production, with history of their senders."""
    values: dict[str, Any] = {
        "created_at": NOON,
        "environment": Environment.PRODUCTION,
        "model_name": SPAM_DETECTOR,
        "model_version": "3",
        "schema_digest": "abc",
        "sender": "ann@example.org",
        "numeric": (1.0,),
        "probability": 0.5,
        "label": "ham",
        "latency_seconds": 0.001,
    }
    return [NewPrediction.checked(request_id=f"{name}-{at}", **(values | changed)) for at in range(count)]


async def record(records: Records, made: list[NewPrediction], at: datetime) -> None:
    """Writes rows at an instant."""
    async with records.transaction() as session:
        await predictions.insert_many(session, made, recorded_at=at)


@pytest.fixture
def parts(home: Home, records: Records) -> Parts:
    """Where no gateway is known."""
    settings = MonitoringSettings.load(defaulted_share=0.2, quiet_runs=2, ingest_every="10m")
    return Parts(settings, home, records, Measures())


async def said(parts: Parts, now: datetime) -> list[Said]:
    """Looks once."""
    checked = await run(parts, now=now)
    assert (checked.gateway, checked.unread) == (None, None)
    return list(checked.said)


@pytest.mark.parametrize(("defaulted", "seen"), [(19, False), (20, True)])
async def test_answers_with_defaults_are_told_from_the_share_of_the_settings_on(
    parts: Parts, defaulted: int, *, seen: bool
) -> None:
    """19 of 100 is less than a fifth; 20 is that. Three ids of them, the version, and since when."""
    await record(parts.records, rows(100 - defaulted, "well", sender=None), later(1))
    await record(parts.records, rows(defaulted, "less", sender=None, defaulted_features=8), later(1))
    found = await said(parts, later(2))
    assert [(each.kind, each.family, each.change) for each in found] == [
        (AlertKind.STALE_FEATURES, "", "opened")
    ] * seen
    async with parts.records.reading() as session:
        for alert in await alerts.listed(session):
            assert alert.model_version == "3"
            assert len(alert.details["examples"]) == 3
            assert all(each.startswith("less-") for each in alert.details["examples"])
            assert alert.details["rows"] == 100


async def test_few_answers_wait_for_more_and_quiet_ones_end_it(parts: Parts) -> None:
    """What is waited for is judged with what comes; looked at once, it does not count again."""
    await record(parts.records, rows(10, "a", sender=None, defaulted_features=8), later(1))
    assert await said(parts, later(2)) == []
    await record(parts.records, rows(10, "b", sender=None, defaulted_features=8), later(3))
    (found,) = await said(parts, later(4))
    assert "100 % of 20" in found.summary
    assert await said(parts, later(5)) == []
    changes = []
    for turn in range(2):
        await record(parts.records, rows(20, f"well-{turn}", sender=None), later(6 + 2 * turn))
        changes += [each.change for each in await said(parts, later(7 + 2 * turn))]
    assert changes == [None, "resolved"]


async def test_mirrored_copies_and_other_environments_do_not_count(parts: Parts) -> None:
    """The shadow's defaults concern nobody; staging's are its own alert, and a warning at most."""
    await record(parts.records, rows(30, "well", sender=None), later(1))
    copies = [
        each.model_copy(update={"shadow_of": f"well-{at}", "request_id": f"copy-{at}"})
        for at, each in enumerate(rows(30, "copy", sender=None, defaulted_features=8))
    ]
    await record(parts.records, copies, later(1))
    await record(
        parts.records,
        rows(1200, "stage", sender=None, environment=Environment.STAGING, defaulted_features=8),
        later(1),
    )
    (found,) = await said(parts, later(2))
    assert (found.environment, found.severity) == (Environment.STAGING, Severity.WARNING)


async def test_history_that_nobody_adds_to_is_told_and_ends_with_the_next_ingest(parts: Parts) -> None:
    """After six intervals with rows that wait, and not before; without rows, or without senders, never."""
    async with parts.records.transaction() as session:
        await jobs.completed(session, jobs.Job.INGEST, now=NOON)
    await record(parts.records, rows(5, "flower", sender=None), later(1))
    assert await said(parts, later(600)) == []
    await record(parts.records, rows(5, "mail"), later(10))
    assert await said(parts, later(69)) == []
    (found,) = await said(parts, later(71))
    assert (found.kind, found.family, found.change) == (AlertKind.STALE_FEATURES, "history", "opened")
    assert "since 2026-03-01 12:00 UTC: 5 wait" in found.summary
    async with parts.records.transaction() as session:
        await jobs.completed(session, jobs.Job.INGEST, now=later(72))
    changes = [each.change for minute in (73, 74) for each in await said(parts, later(minute))]
    assert changes == [None, "resolved"]


async def test_where_no_features_are_kept_no_ingest_is_missed(parts: Parts, home: Home) -> None:
    """Until there is a folder of them: then rows wait."""
    await record(parts.records, rows(5, "mail"), later(10))
    assert await said(parts, later(500)) == []
    await asyncio.to_thread(home.features.mkdir)
    (found,) = await said(parts, later(501))
    assert "ever: 5 wait" in found.summary


@pytest.mark.parametrize("text", ["", "{", "[]", '{"loss": 1}', "\x00"])
async def test_a_memory_that_is_damaged_is_begun_anew(parts: Parts, text: str) -> None:
    """Nothing fails, and nothing is told twice to anybody: the alert is open already."""
    file: Path = parts.home.root / "monitoring" / "checks.json"
    await record(parts.records, rows(30, "less", sender=None, defaulted_features=8), later(1))
    await said(parts, later(2))
    await asyncio.to_thread(file.write_text, text)
    (found,) = await said(parts, later(3))
    assert found.change is None
