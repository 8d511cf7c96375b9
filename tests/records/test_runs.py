"""Runs of the pipeline are begun once, ended once, and compared with the right one before."""

from typing import Any
from uuid import uuid4

import pytest

from records.engine import Records
from records.errors import RecordMissing, RecordRejected
from records.repositories import runs
from records.repositories.runs import NewRun, RunEnd
from records.tables import ExperimentRun
from records.tables.experiment_runs import RunStatus, Trigger
from tests.records.rows import after


async def begin(records: Records, seconds: float, **changed: Any) -> ExperimentRun:
    """Begins one run."""
    values: dict[str, Any] = {
        "workload": "spam-detector", "trigger": Trigger.MANUAL, "parameters": {"seed": 7},
        "started_at": after(seconds), "data_fingerprint": "abc",
    }  # fmt: skip
    async with records.transaction() as session:
        return await runs.begin(session, NewRun(**(values | changed)))


async def end(records: Records, run: ExperimentRun, status: RunStatus, seconds: float) -> ExperimentRun:
    """Ends one run."""
    ending = RunEnd(status=status, finished_at=after(seconds), figures={"f1": 0.98}, model_version="4")
    async with records.transaction() as session:
        return await runs.finish(session, run.id, ending)


async def test_a_run_ends_once_with_what_it_found(records: Records) -> None:
    """What it was begun with stays; a second ending is an error and changes nothing."""
    run = await begin(records, 0)
    ended = await end(records, run, RunStatus.ACCEPTED, 10)
    assert (ended.status, ended.figures, ended.model_version) == ("accepted", {"f1": 0.98}, "4")
    assert (ended.data_fingerprint, ended.parameters) == ("abc", {"seed": 7})
    with pytest.raises(RecordMissing):
        await end(records, run, RunStatus.FAILED, 20)
    with pytest.raises(RecordMissing):
        await end(records, ExperimentRun(id=uuid4()), RunStatus.FAILED, 20)


async def test_a_run_cannot_end_as_running(records: Records) -> None:
    """The database holds that an ended run has a verdict."""
    run = await begin(records, 0)
    with pytest.raises(RecordRejected):
        await end(records, run, RunStatus.RUNNING, 10)


async def test_the_previous_accepted_run(records: Records) -> None:
    """Refused, failed, running and foreign runs are passed over."""
    async with records.reading() as session:
        assert await runs.previous_accepted(session, "spam-detector") is None
    first = await end(records, await begin(records, 0), RunStatus.ACCEPTED, 10)
    second = await end(records, await begin(records, 1), RunStatus.ACCEPTED, 20)
    await end(records, await begin(records, 2), RunStatus.REFUSED, 30)
    await end(records, await begin(records, 3, workload="iris"), RunStatus.ACCEPTED, 40)
    running = await begin(records, 4)
    async with records.reading() as session:
        latest = await runs.previous_accepted(session, "spam-detector")
        before = await runs.previous_accepted(session, "spam-detector", before=after(20))
        unended = await runs.running(session, "spam-detector")
        recent = await runs.recent(session, workload="spam-detector", limit=2)
    assert latest is not None
    assert latest.id == second.id
    assert before is not None
    assert before.id == first.id
    assert [run.id for run in unended] == [running.id]
    assert [run.status for run in recent] == ["running", "refused"]


async def test_runs_started_by_drift_are_counted_for_the_daily_cap(records: Records) -> None:
    """From the instant on, and only those that drift started."""
    for seconds in (10, 20, 30):
        await begin(records, seconds, trigger=Trigger.DRIFT, trigger_reason="psi 0.4 in header")
    await begin(records, 40)
    async with records.reading() as session:
        assert await runs.count_started(session, "spam-detector", Trigger.DRIFT, since=after(20)) == 2
        assert await runs.count_started(session, "iris", Trigger.DRIFT, since=after(0)) == 0
