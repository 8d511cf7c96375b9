"""Jobs by the clock, with real ones that are short: one run at a time, one process, a clean end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from kit.errors import ExitCode
from kit.home import Home
from monitoring.schedule import Schedule, Timed
from monitoring.subcommands import CommandFailed, sluice
from records.errors import RecordsUnavailable

SOON = timedelta(seconds=0.05)
LATER = timedelta(days=1)
LIMIT_SECONDS = 60


class Job:
    """Counts its runs, and how many were under way at once; each lasts until it is let go."""

    def __init__(self) -> None:
        self.begun = self.ended = self.most = 0
        self.gate = asyncio.Event()

    async def run(self) -> None:
        """Runs once."""
        self.begun += 1
        self.most = max(self.most, self.begun - self.ended)
        try:
            await self.gate.wait()
        finally:
            self.ended += 1


async def until(holds: Callable[[], Any]) -> None:
    """Returns once it is so."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def at(moment: datetime | None) -> Callable[[], Awaitable[datetime | None]]:
    """Returns what tells when a job last ended."""

    async def last() -> datetime | None:
        return moment

    return last


async def test_a_run_that_takes_long_is_joined_by_no_second_one(tmp_path: Any) -> None:
    """However often its time comes; afterwards it runs again."""
    job = Job()
    beside = Job()
    beside.gate.set()
    schedule = Schedule(Home(tmp_path), [Timed("long", SOON, job.run), Timed("short", SOON, beside.run)])
    await schedule.start()
    await until(lambda: beside.ended >= 5)
    assert (job.begun, job.most) == (1, 1)
    job.gate.set()
    await until(lambda: job.ended >= 3)
    assert job.most == 1
    await schedule.close()
    assert job.begun == job.ended


async def test_the_end_waits_for_the_run_under_way(tmp_path: Any) -> None:
    """Which is not broken off when it ends in time; nothing begins any more."""
    job = Job()
    schedule = Schedule(Home(tmp_path), [Timed("job", SOON, job.run)])
    await schedule.start()
    await until(lambda: job.begun)
    asyncio.get_running_loop().call_later(0.2, job.gate.set)
    with capture_logs() as logs:
        await schedule.close()
    assert (job.begun, job.ended) == (1, 1)
    assert "job_broken_off" not in [line["event"] for line in logs]


@pytest.mark.parametrize("hurried", [False, True])
async def test_a_run_that_does_not_end_is_broken_off(tmp_path: Any, *, hurried: bool) -> None:
    """After its time, or at once for who is told a second time."""
    job = Job()
    schedule = Schedule(Home(tmp_path), [Timed("job", SOON, job.run)])
    await schedule.start()
    await until(lambda: job.begun)
    if hurried:
        schedule.hurry()
    with capture_logs() as logs:
        await schedule.close(LIMIT_SECONDS if hurried else 0.05)
    assert (job.begun, job.ended) == (1, 1)
    assert "job_broken_off" in [line["event"] for line in logs]


@pytest.mark.parametrize(
    ("error", "code", "times"),
    [
        (RecordsUnavailable("They are down."), "records_unavailable", 1),
        (ZeroDivisionError(), "internal_error", 3),
    ],
)
async def test_a_job_that_fails_is_told_and_runs_again(
    tmp_path: Any, error: Exception, code: str, times: int
) -> None:
    """A neighbour that is down, once, and each bug; the other jobs go on, and so does this one afterwards."""
    failed = 0

    async def fails() -> None:
        nonlocal failed
        failed += 1
        if failed <= 3:
            raise error

    beside = Job()
    beside.gate.set()
    schedule = Schedule(Home(tmp_path), [Timed("bad", SOON, fails), Timed("good", SOON, beside.run)])
    with capture_logs() as logs:
        await schedule.start()
        await until(lambda: failed >= 5 and beside.ended >= 2)
        await schedule.close()
    told = [line for line in logs if line["event"] == "job_failed"]
    assert [(line["job"], line["code"]) for line in told] == [("bad", code)] * times
    assert [line["job"] for line in logs if line["event"] == "job_runs_again"] == ["bad"]


@pytest.mark.parametrize(
    ("ago", "runs"),
    [(None, True), (timedelta(days=9), True), (timedelta(hours=1), False), (-timedelta(days=9), False)],
)
async def test_a_missed_run_is_made_up_for_by_one_and_another_waits(
    tmp_path: Any, ago: timedelta | None, *, runs: bool
) -> None:
    """By when it last ended, in whichever process; a time that lies ahead delays it by an interval only."""
    last = None if ago is None else datetime.now(UTC) - ago
    job, beside = Job(), Job()
    job.gate.set()
    beside.gate.set()
    jobs = [Timed("job", LATER, job.run, at(last)), Timed("beside", SOON, beside.run)]
    schedule = Schedule(Home(tmp_path), jobs)
    await schedule.start()
    await until(lambda: beside.ended >= 5)
    await schedule.close()
    assert job.begun == runs


async def test_of_two_one_keeps_the_clock_and_the_other_takes_over(tmp_path: Any) -> None:
    """When the first ends, however it ends: the system frees its lock."""
    first_job, second_job = Job(), Job()
    first_job.gate.set()
    second_job.gate.set()
    first = Schedule(Home(tmp_path), [Timed("job", SOON, first_job.run)])
    second = Schedule(Home(tmp_path), [Timed("job", SOON, second_job.run)])
    with capture_logs() as logs:
        await first.start()
        await until(lambda: first.keeps)
        await second.start()
        await until(lambda: "schedule_kept_elsewhere" in [line["event"] for line in logs])
    await until(lambda: first_job.ended >= 3)
    assert not second.keeps
    assert second_job.begun == 0
    await first.close()
    await until(lambda: second_job.ended)
    await second.close()


async def test_a_command_runs_in_a_process_of_its_own_and_is_ended_in_time(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its document comes back; one that hangs, or that nobody waits for any more, is gone."""
    monkeypatch.delenv("RECORDS_URL", raising=False)
    ended = await sluice(home, "records", "status")
    assert ended.code == ExitCode.DONE
    assert ended.document["url"].endswith(str(home.records)), ended.document
    with pytest.raises(CommandFailed, match="took longer"):
        await sluice(home, "records", "status", limit_seconds=0.01)
    wrong = await sluice(home, "drift", "run", "--rows", "none")
    assert (wrong.code, wrong.document) == (ExitCode.USAGE, {})
