"""The pipeline's real command as a process of its own: begun once, whoever is killed, and never forgotten."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from contracts.environments import Environment
from contracts.monitoring import HOOK_DRIFT
from kit.files import locked
from kit.home import Home
from monitoring.alerts import book
from monitoring.alerts.event import Evidence
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.retraining import process, slot
from monitoring.retraining.loop import begin_announced, consider, follow
from monitoring.retraining.promotion import promote_ready
from monitoring.retraining.starts import START, waits
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import alerts, deployments, runs
from records.repositories.alerts import Cause
from records.repositories.deployments import NewDeployment
from records.repositories.runs import RunEnd
from records.tables import ExperimentRun
from records.tables.experiment_runs import RunStatus
from records.tables.model_deployments import Action
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.monitoring.hooks import NOON, SECRET, counted, event, served, signed

NOBODY = "roses"
"""A model that no workload trains: the real command refuses it within a second or two."""


def parts_of(home: Home, records: Records, **changed: Any) -> Parts:
    """Returns the parts of a process whose loop is on."""
    values: dict[str, Any] = {"retraining": "local", "hook_secrets": (SecretStr(SECRET),)}
    return Parts(MonitoringSettings.load(**(values | changed)), home, records, Measures())


async def only_run(records: Records) -> ExperimentRun:
    """Returns the one run that there is."""
    async with records.reading() as session:
        (row,) = await runs.recent(session)
    return row


async def until(condition: Callable[[], bool]) -> None:
    """Waits for `condition`, up to a minute."""
    for _ in range(1200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("It did not come to be within a minute.")


def family(parts: Parts, row: ExperimentRun) -> list[psutil.Process]:
    """Returns the processes that were started for a run."""
    return [
        each
        for each in psutil.process_iter(["cmdline"])
        if f"--announced={row.id}" in (each.info["cmdline"] or ())
    ]


@pytest.fixture
async def parts(home: Home, records: Records) -> AsyncIterator[Parts]:
    """A process whose loop is on; what it started has ended before the records are closed."""
    made = parts_of(home, records)
    yield made
    await until(lambda: not slot.is_taken(home, NOBODY))


async def test_a_signed_event_begins_the_command_and_its_failure_is_told(
    home: Home, records: Records, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the wire, to the real command, which fails: the run ends as failed, with the command's words."""
    monkeypatch.setenv("MONITORING_HOOK_TOKEN", "a secret of ours")
    cause = Cause(NOBODY, event().environment, AlertKind.DATA_DRIFT, "numbers")
    now = datetime.now(UTC)
    sighting = book.Sighting(severity=Severity.WARNING, summary="moved", evidence=Evidence(), seen_at=now)
    async with records.transaction() as session:
        known = (await book.sighted(session, parts.settings, home, cause, sighting)).alert.id
    body = event(model=NOBODY, alert_id=known, summary="it's $(moved); `--help`").model_dump_json().encode()
    async with served(parts) as address, httpx.AsyncClient(base_url=address, timeout=60) as client:
        answer = await client.post(HOOK_DRIFT, content=body, headers=signed(body))
    assert (answer.status_code, answer.json()["outcome"]) == (202, "started")
    row = await only_run(records)
    assert answer.json()["run"] == str(row.id)
    assert row.parameters[START]["attempts"] == 1
    (began,) = family(parts, row)
    assert began.ppid() == os.getpid()
    assert os.getsid(began.pid) == began.pid
    variables = began.environ()
    assert variables["SLUICE_HOME"] == str(home.root)
    assert variables["PYTHONSAFEPATH"] == "1"
    assert not [name for name in variables if name.startswith("MONITORING_")]
    await until(lambda: not slot.is_taken(home, NOBODY))
    await follow(parts)
    row = await only_run(records)
    assert row.status == "failed"
    assert "There is no workload 'roses'" in row.reasons[0]
    assert "$(moved)" in (row.trigger_reason or "")
    assert counted(parts, "sluice_retraining_total", model=NOBODY, outcome="failed") == 1
    await follow(parts)
    async with records.reading() as session:
        alert = await alerts.by_id(session, known)
    assert alert is not None
    actions = [entry["action"] for entry in alert.history]
    assert actions == ["retraining started", "retraining ended"]
    assert "no workload" in alert.history[1]["reason"]


async def test_who_is_killed_after_the_answer_lost_nothing(
    home: Home, records: Records, parts: Parts
) -> None:
    """The announced run is begun by the process that comes next, once, and by no other machine."""
    decision, _ = await consider(parts, event(model=NOBODY), message="m1")
    del parts
    other = parts_of(Home(home.root.parent / "other"), records)
    assert await begin_announced(other) == []
    restarted, beside = parts_of(home, records), parts_of(home, records)
    begun = await asyncio.gather(*(begin_announced(each) for each in (restarted, beside) * 3))
    assert [run for each in begun for run in each] == [decision.run]
    await until(lambda: not slot.is_taken(home, NOBODY))
    assert await begin_announced(restarted) == []


async def test_a_process_that_is_killed_at_once_is_begun_again_three_times_and_then_given_up(
    home: Home, records: Records, parts: Parts
) -> None:
    """What was killed before it said a word is tried again; the last one frees the slot and is told.

    The command for `iris` has seconds of imports before its first word: time enough to kill it.
    """
    await consider(parts, event(), message="m1")
    for attempt in (1, 2, 3):
        await follow(parts)
        row = await only_run(records)
        assert (row.status, row.parameters[START]["attempts"]) == ("running", attempt)
        (began,) = family(parts, row)
        os.kill(began.pid, signal.SIGKILL)
        await until(lambda: not slot.is_taken(home, "iris"))
    await follow(parts)
    row = await only_run(records)
    assert row.status == "failed"
    assert "ended without a word" in row.reasons[0]
    decision, _ = await consider(parts, event(), message="m2")
    assert decision.outcome == "cooldown"


async def test_a_run_that_the_pipeline_took_over_and_was_killed_frees_the_slot(
    home: Home, records: Records, parts: Parts
) -> None:
    """It is not begun anew, since its steps may have moved something; the next event sees that it is over."""
    decision, _ = await consider(parts, event(model=NOBODY), message="m1")
    assert decision.run is not None
    async with records.transaction() as session:
        await runs.note(session, decision.run, "run", "20260301-120000-abcd")
    assert await begin_announced(parts) == []
    again, _ = await consider(parts, event(model=NOBODY), message="m2")
    assert again.outcome == "cooldown"
    assert (await only_run(records)).status == "failed"


async def test_a_gate_that_refuses_leaves_staging_as_it_is(home: Home, records: Records) -> None:
    """The run ends as the pipeline closes it (tests/pipelines/test_local_run.py refuses for real).

    The alert's history has the gate's reasons, nothing moves, it counts as no failure of the loop's, and what
    follows is held back like after any other run.
    """
    parts = parts_of(home, records)
    cause = Cause("iris", event().environment, AlertKind.DATA_DRIFT, "numbers")
    sighting = book.Sighting(severity=Severity.WARNING, summary="moved", evidence=Evidence(), seen_at=NOON)
    move = NewDeployment(
        model_name="iris",
        environment=Environment.STAGING,
        action=Action.PROMOTE,
        from_version=None,
        to_version="1",
        actor="a person",
        reason="the first one",
        gate={},
        created_at=NOON,
    )
    async with records.transaction() as session:
        known = (await book.sighted(session, parts.settings, home, cause, sighting)).alert.id
        await deployments.append(session, move)
    decision, _ = await consider(parts, event(alert_id=known), message="m1")
    assert decision.run is not None
    end = RunEnd(
        status=RunStatus.REFUSED,
        finished_at=datetime.now(UTC),
        reasons=["One row takes 17 µs; 0 µs are allowed."],
        model_version="2",
    )
    async with records.transaction() as session:
        await runs.finish(session, decision.run, end)
    willing = parts_of(home, records, auto_promote=True)
    for _ in range(2):
        await follow(willing)
        assert await promote_ready(willing) == []
    async with records.reading() as session:
        alert = await alerts.by_id(session, known)
        (staged,) = await deployments.history(session)
    assert alert is not None
    assert [entry["action"] for entry in alert.history] == ["retraining started", "retraining ended"]
    assert "was refused. One row takes" in alert.history[1]["reason"]
    assert (staged.environment, staged.to_version) == ("staging", "1")
    assert counted(willing, "sluice_retraining_total", model="iris", outcome="failed") == 0
    again, _ = await consider(parts, event(alert_id=known), message="m2")
    assert again.outcome == "cooldown"


async def test_a_run_that_finds_another_one_under_way_waits_for_it(home: Home, records: Records) -> None:
    """A person trains another model in the same home: what the loop announced is begun later, not lost."""
    parts = parts_of(home, records)
    await consider(parts, event(), message="m1")
    with locked(home.root / "runs" / ".lock", what="A run of a person"):
        await follow(parts)
        await until(lambda: not slot.is_taken(home, "iris"))
    row = await only_run(records)
    assert process.left(home, row.id).document["code"] == "locked"
    assert (row.status, waits(row, home, slot.machine(home))) == ("running", True)
    again, _ = await consider(parts, event(), message="m2")
    assert again.outcome == "running"


async def test_a_run_that_a_cluster_took_over_is_the_clusters_to_close(home: Home, records: Records) -> None:
    """After a day it holds nobody up, and is not closed by who does not know."""
    parts = parts_of(home, records, retraining="kubeflow")
    decision, _ = await consider(parts, event(), message="m1", now=NOON)
    assert decision.run is not None
    async with records.transaction() as session:
        await runs.note(session, decision.run, "run", "kfp-run-1")
    for hours, outcome in ((23, "running"), (25, "started")):
        again, _ = await consider(parts, event(), message=f"at {hours}", now=NOON + timedelta(hours=hours))
        assert again.outcome == outcome
    async with records.reading() as session:
        assert [row.status for row in await runs.recent(session)] == ["running", "running"]


async def test_a_run_is_handed_over_to_kubeflow_and_waited_for(home: Home, records: Records) -> None:
    """The command submits, and fails here for want of an address: a submission is never tried twice."""
    parts = parts_of(home, records, retraining="kubeflow", retraining_arguments=("--trials", "3"))
    await consider(parts, event(model="iris"), message="m1")
    row = await only_run(records)
    await follow(parts)
    (began,) = family(parts, row)
    words = began.cmdline()
    assert words[words.index("pipeline") + 1] == "submit"
    assert words[-2:] == ["--trials", "3"]
    await until(lambda: not slot.is_taken(home, "iris"))
    await follow(parts)
    row = await only_run(records)
    assert row.status == "failed"
    assert "No address is set" in row.reasons[0]


def test_every_word_of_an_event_is_one_word_of_the_command(home: Home) -> None:
    """No shell reads it, and a model that looks like an option is none."""
    from uuid import uuid4

    settings = MonitoringSettings.load(retraining_arguments=("--trials", "5"))
    run = uuid4()
    words = process.command(settings, "local", "--help", run, "a; b --json\n$(c)")
    assert words[3:] == (
        "pipeline",
        "run",
        "--workload=--help",
        "--trigger=drift",
        "--reason=a; b --json\n$(c)",
        f"--announced={run}",
        "--json",
        "--trials",
        "5",
    )
