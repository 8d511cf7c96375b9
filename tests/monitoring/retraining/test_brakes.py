"""The loop's decision: what starts a run, what holds it back, and why; on both databases, by many at once."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kit.home import Home
from monitoring.alerts import book
from monitoring.alerts.event import Change, Evidence
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.retraining import slot
from monitoring.retraining.decision import Brakes, Outcome, decide
from monitoring.retraining.loop import consider
from monitoring.settings import MonitoringSettings
from records import migrate
from records.engine import Records, build_engine
from records.postgresql import temporary
from records.repositories import alerts, runs
from records.repositories.alerts import Cause
from records.repositories.runs import NewRun, RunEnd
from records.settings import SQLITE, RecordsSettings
from records.tables import ExperimentRun
from records.tables.experiment_runs import RunStatus, Trigger
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.monitoring.hooks import NOON, counted, event

pytestmark = pytest.mark.xdist_group("postgresql")

ON = MonitoringSettings.load(retraining="local")


def later(**time: float) -> datetime:
    """Returns a time after noon."""
    return NOON + timedelta(**time)


def parts_of(home: Home, records: Records, **changed: Any) -> Parts:
    """Returns the parts of a process whose loop is on."""
    values: dict[str, Any] = {"retraining": "local"}
    return Parts(MonitoringSettings.load(**(values | changed)), home, records, Measures())


async def asked(parts: Parts, number: int, now: datetime = NOON, **changed: Any) -> Outcome:
    """Returns what becomes of one more event."""
    decision, new = await consider(parts, event(**changed), message=f"m{number}", now=now)
    assert new
    return decision.outcome


async def all_runs(records: Records) -> list[ExperimentRun]:
    """Returns every run, newest first."""
    async with records.reading() as session:
        return await runs.recent(session, limit=1000)


async def ended(records: Records, *, at: datetime, status: RunStatus = RunStatus.ACCEPTED) -> None:
    """Ends every run that is under way, as the pipeline does."""
    async with records.transaction() as session:
        for row in await runs.running(session, "iris"):
            await runs.finish(session, row.id, RunEnd(status=status, finished_at=at, model_version="2"))


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, Outcome.STARTED),
        ({"change": Change.WORSENED, "kind": AlertKind.CONCEPT_DRIFT}, Outcome.STARTED),
        ({"kind": AlertKind.PERFORMANCE_DEGRADATION, "severity": Severity.CRITICAL}, Outcome.STARTED),
        ({"severity": Severity.INFO}, Outcome.MILD),
        ({"change": Change.ACKNOWLEDGED}, Outcome.IGNORED),
        ({"change": Change.RESOLVED}, Outcome.IGNORED),
        ({"change": Change.TEST}, Outcome.IGNORED),
        ({"kind": AlertKind.STALE_FEATURES}, Outcome.IGNORED),
        ({"kind": AlertKind.MODEL_ERROR}, Outcome.IGNORED),
        ({"kind": AlertKind.PREDICTION_LOSS}, Outcome.IGNORED),
    ],
)
def test_only_news_of_what_training_mends_start_a_run(changed: dict[str, Any], outcome: Outcome) -> None:
    """Every decision has its why."""
    decision = decide(event(**changed), Brakes(), ON, NOON)
    assert decision.outcome is outcome
    assert len(decision.reason) > 20


def test_each_brake_holds_to_its_bound_and_no_further() -> None:
    """One second before the end of the cooldown, and at it; at the cap, and one below."""
    settings = MonitoringSettings.load(
        retraining="local", retraining_cooldown="1h", retraining_per_day=3, retraining_severity="critical"
    )
    grave = event(severity=Severity.CRITICAL)

    def outcome(brakes: Brakes) -> Outcome:
        return decide(grave, brakes, settings, NOON).outcome

    assert outcome(Brakes(latest=later(hours=-1))) is Outcome.STARTED
    assert outcome(Brakes(latest=later(hours=-1, seconds=1))) is Outcome.COOLDOWN
    assert outcome(Brakes(latest=later(hours=-2), today=2)) is Outcome.STARTED
    assert outcome(Brakes(latest=later(hours=-2), today=3)) is Outcome.CAPPED
    assert outcome(Brakes(running="A run.")) is Outcome.RUNNING
    assert decide(event(), Brakes(), settings, NOON).outcome is Outcome.MILD


async def test_a_hundred_events_start_one_run(home: Home, records: Records) -> None:
    """Told one after the other over an hour: the row is there at once, with its why, and is the only one."""
    parts = parts_of(home, records)
    outcomes = [await asked(parts, number, later(seconds=36 * number)) for number in range(100)]
    assert Counter(outcomes) == {Outcome.STARTED: 1, Outcome.RUNNING: 99}
    (row,) = await all_runs(records)
    assert (row.workload, row.trigger, row.status) == ("iris", "drift", "running")
    assert row.trigger_reason is not None
    assert row.trigger_reason.startswith("warning data drift of numbers in production opened")
    assert counted(parts, "sluice_retraining_total", model="iris", outcome="running") == 99


async def test_cooldown_and_cap_count_from_the_records(home: Home, records: Records) -> None:
    """A process that knows nothing of the one before holds the same brakes; failed runs count; a day ends."""
    when = [0, 5.9, 6, 12.1, 18.2, 24, 24.1]
    outcomes = []
    for number, hours in enumerate(when):
        parts = parts_of(home, records, retraining_per_day=2)  # a new process each time
        outcomes.append(await asked(parts, number, later(hours=hours)))
        await ended(records, at=later(hours=hours, minutes=1), status=RunStatus.FAILED)
    assert outcomes == ["started", "cooldown", "started", "capped", "capped", "capped", "started"]


async def test_models_do_not_hold_each_other_up(home: Home, records: Records) -> None:
    """One at a time is for each model."""
    parts = parts_of(home, records)
    assert await asked(parts, 1) is Outcome.STARTED
    assert await asked(parts, 2, model="spam-detector") is Outcome.STARTED


async def test_a_persons_run_is_waited_for_but_not_for_ever(home: Home, records: Records) -> None:
    """A run that nobody closed for a day was killed with its machine."""
    async with records.transaction() as session:
        await runs.begin(
            session, NewRun(workload="iris", trigger=Trigger.MANUAL, parameters={}, started_at=NOON)
        )
    parts = parts_of(home, records)
    assert await asked(parts, 1, later(hours=23)) is Outcome.RUNNING
    assert await asked(parts, 2, later(hours=25)) is Outcome.STARTED


async def test_a_run_of_another_machine_is_believed_for_a_day(
    home: Home, records: Records, tmp_path: Path
) -> None:
    """Nobody here can look at its slot; then it is closed as unheard of."""
    assert await asked(parts_of(Home(tmp_path / "other"), records), 1) is Outcome.STARTED
    parts = parts_of(home, records)
    assert await asked(parts, 2, later(hours=20)) is Outcome.RUNNING
    assert await asked(parts, 3, later(hours=25)) is Outcome.STARTED
    assert [row.status for row in await all_runs(records)] == ["running", "failed"]


async def test_who_is_in_the_slot_runs_although_its_row_is_old(home: Home, records: Records) -> None:
    """A search of two days is no dead process."""
    parts = parts_of(home, records)
    await asked(parts, 1)
    lock = slot.take(home, "iris")
    assert lock is not None
    assert await asked(parts, 2, later(hours=50)) is Outcome.RUNNING
    slot.close(lock)


async def test_each_decision_stands_in_the_history_of_its_alert(home: Home, records: Records) -> None:
    """With who and why; a message of an alert that is not in these records is decided all the same."""
    parts = parts_of(home, records)
    cause = Cause("iris", event().environment, AlertKind.DATA_DRIFT, "numbers")
    sighting = book.Sighting(severity=Severity.WARNING, summary="moved", evidence=Evidence(), seen_at=NOON)
    async with records.transaction() as session:
        entry = await book.sighted(session, parts.settings, home, cause, sighting)
    known = entry.alert.id
    assert await asked(parts, 1, alert_id=known) is Outcome.STARTED
    assert await asked(parts, 2, alert_id=known) is Outcome.RUNNING
    assert await asked(parts, 3, alert_id=event().alert_id) is Outcome.RUNNING
    async with records.reading() as session:
        alert = await alerts.by_id(session, known)
    assert alert is not None
    (row,) = await all_runs(records)
    assert [(each["actor"], each["action"]) for each in alert.history] == [
        ("the loop", "retraining started"),
        ("the loop", "retraining not started"),
    ]
    assert str(row.id) in alert.history[0]["reason"]
    assert "One at a time" in alert.history[1]["reason"]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of a migrated PostgreSQL."""
    with temporary() as server:
        address = server.create_database("loop")

        async def migrated() -> None:
            memory = connected(address)
            await migrate.upgrade(memory.engine)
            await memory.close()

        asyncio.run(migrated())
        yield address


def connected(address: str) -> Records:
    """Returns the records at an address."""
    return Records(build_engine(RecordsSettings.load(url=SecretStr(address))))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_processes_at_once_start_one_run(
    database: str, home: Home, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Forty events told by two processes, several at a time; on PostgreSQL they share no disk either."""
    address, homes = f"{SQLITE}:///{home.records}", [home.root, home.root]
    if database == "postgresql":
        address, homes = request.getfixturevalue("postgresql"), [tmp_path / "one", tmp_path / "two"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MONITORING_")}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    (
                        sys.executable,
                        "-m",
                        "tests.monitoring.retraining.flood",
                        str(root),
                        f"p{number}",
                        "20",
                    ),
                    env=variables | {"SLUICE_HOME": str(root), "RECORDS_URL": address},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number, root in enumerate(homes)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        said = [process.communicate(timeout=300)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
    assert sum((Counter(json.loads(each)) for each in said), Counter()) == {"started": 1, "running": 39}

    async def statuses() -> list[str]:
        memory = connected(address)
        found = [row.status for row in await all_runs(memory)]
        await memory.close()
        return found

    assert asyncio.run(statuses()) == ["running"]
