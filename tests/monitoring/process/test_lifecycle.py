"""The process over real records: runs that end or are cut off, two at once, records that come and go."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts import metrics as contract
from contracts.monitoring import LIVE, METRICS, READY, address_file
from contracts.tensors import SPAM_DETECTOR
from kit.home import Home
from monitoring.drift.reference import Reference
from records.postgresql import temporary
from records.repositories import alerts, deliveries
from records.tables.webhook_deliveries import DeliveryStatus
from tests.monitoring.conftest import connect
from tests.monitoring.process.listening import Listener, listening
from tests.monitoring.process.running import PATIENCE_SECONDS, Running, running, until
from tests.monitoring.traffic import record, resampled, rows_of
from tests.records.conftest import migrated

pytestmark = pytest.mark.xdist_group("monitoring-process")
QUICK = {
    "MONITORING_DRIFT_DEALS": "500",
    "MONITORING_REPORT_WHEN": "never",
    "MONITORING_DELIVERY_EVERY": "1s",
}


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """Returns what `work` returns, done on a loop of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture
def drifted(home: Home, reference: Reference) -> Home:
    """A machine whose production is asked what the model never saw: an hour ago, 300 times."""
    ago = datetime.now(UTC) - timedelta(hours=1)

    def moved(matrix: Any) -> Any:
        return matrix * 3 + 5

    rows = rows_of(
        reference, resampled(reference, 300), start=ago, end=ago + timedelta(minutes=30), numbers=moved
    )

    async def written() -> None:
        memory = connect(home.records)
        await record(memory, rows)
        await memory.close()

    done(written())
    return home


def figures(process: Running) -> dict[tuple[str, ...], float]:
    """Returns what /metrics tells of the platform, by name and labels in the order of the contract."""
    known = {metric.name: metric for metric in contract.METRICS}
    return {
        (sample.name, *(sample.labels[label] for label in known[sample.name].labels)): sample.value
        for family in text_string_to_metric_families(process.get(METRICS).text)
        for sample in family.samples
        if sample.name in known
    }


def test_a_drift_run_at_sigterm_ends_first_and_is_not_done_again(drifted: Home, tmp_path: Path) -> None:
    """What it found is told by the next process, for which no run is due."""
    with running(drifted.root, tmp_path / "one", **QUICK) as first:
        first.wait_for("drift_run_begun")
        assert first.get(LIVE).status_code == 200
        assert first.stop() == 0
        events = [line["event"] for line in first.lines]
        assert events.index("drift_run_done") < events.index("schedule_ended")
        assert events[-1] == "monitoring_stopped"
        assert first.told("drift_run_done")[0]["measured"] == 1
        assert not address_file(drifted.root).exists()
        assert "Traceback" not in first.text
    with running(drifted.root, tmp_path / "two", **QUICK) as second:
        second.wait_for("schedule_begun")
        told = figures(second)
        place = ("production", SPAM_DETECTOR)
        assert told[contract.DRIFT.name, *place, "1", "header"] == 1
        assert told[contract.ALERTS_OPEN.name, "production", "data_drift", "warning"] >= 1
        assert (contract.LIVE_FIGURE.name, *place, "1", "precision", "true") in told
        now = datetime.now(UTC).timestamp()
        for name in ((contract.DRIFT_JOB_TIMESTAMP.name,), (contract.DRIFT_RUN_TIMESTAMP.name, *place)):
            assert now - 600 < told[name] <= now
        assert second.stop() == 0
        assert second.told("drift_run_begun") == []


def test_two_at_once_and_one_killed_in_its_run_measure_once_and_tell_once(
    drifted: Home, tmp_path: Path
) -> None:
    """The other one keeps the clock from then on; each alert reaches the channel as one message."""
    with listening() as channel:
        variables = QUICK | channel.variables()
        with (
            running(drifted.root, tmp_path / "one", **variables) as one,
            running(drifted.root, tmp_path / "two", **variables) as two,
        ):
            until(lambda: one.told("drift_run_begun") or two.told("drift_run_begun"), lambda: one.text)
            keeper, other = (one, two) if one.told("drift_run_begun") else (two, one)
            other.wait_for("schedule_kept_elsewhere")
            keeper.kill()
            other.wait_for("schedule_begun")
            opened, waiting = until(lambda: _settled(drifted, channel), lambda: other.text)
            assert other.get(READY).status_code == 200
            assert other.stop() == 0
        assert waiting == 0
        assert opened >= 2
        assert len(channel.received) == opened
        assert len({bytes(body) for body in channel.received}) == opened


def _settled(home: Home, channel: Listener) -> tuple[int, int] | None:
    """Returns alerts and messages that wait, once there are alerts and all were sent."""

    async def read() -> tuple[int, int]:
        memory = connect(home.records)
        async with memory.reading() as session:
            opened = await alerts.listed(session)
            messages = [each for alert in opened for each in await deliveries.of_alert(session, alert.id)]
        await memory.close()
        assert all(alert.occurrences == 1 for alert in opened)
        return len(messages), sum(each.status != DeliveryStatus.DELIVERED for each in messages)

    found: tuple[int, int] = done(read())
    return found if found[0] and not found[1] and len(channel.received) >= found[0] else None


def test_told_twice_it_breaks_the_run_off_and_leaves_no_process(drifted: Home, tmp_path: Path) -> None:
    """And with 0."""
    import psutil

    with running(drifted.root, tmp_path / "log", **QUICK) as process:
        process.wait_for("drift_run_begun")
        (child,) = until(lambda: psutil.Process(process.process.pid).children())
        os.kill(child.pid, signal.SIGSTOP)  # so that it does not end by itself
        process.process.send_signal(signal.SIGTERM)
        process.process.send_signal(signal.SIGINT)
        # A process that stands still takes no SIGTERM: after a while it is killed.
        assert process.process.wait(PATIENCE_SECONDS) == 0
        assert process.told("job_broken_off", job="drift")
        assert not child.is_running()


def test_records_that_go_and_come_back(tmp_path: Path) -> None:
    """A real PostgreSQL is stopped and started: live all the time, ready again, and never a failed scrape."""
    with temporary() as database:
        address = database.create_database("monitoring")
        migrated(address)
        log = tmp_path / "log"
        with running(tmp_path / "home", log, RECORDS_URL=address, MONITORING_DELIVERY_EVERY="1s") as process:
            process.wait_for("drift_run_done")
            assert process.get(READY).status_code == 200
            assert (contract.DRIFT_JOB_TIMESTAMP.name,) in figures(process)
            database.stop(signal.SIGQUIT)
            until(lambda: process.get(READY).status_code == 503)
            refused = process.get(READY)
            assert refused.json()["code"] == "records_unavailable"
            told = figures(process)
            assert told[contract.RECORDS_UP.name,] == 0
            assert not {contract.DRIFT_JOB_TIMESTAMP.name} & {key[0] for key in told}
            assert process.get(LIVE).status_code == 200
            process.wait_for("job_failed", job="deliver")
            database.start()
            until(lambda: process.get(READY).status_code == 200)
            process.wait_for("job_runs_again", job="deliver")
            told = figures(process)
            assert told[contract.RECORDS_UP.name,] == 1
            assert (contract.DRIFT_JOB_TIMESTAMP.name,) in told
            assert process.stop() == 0
        assert "Traceback" not in log.read_text("utf-8")


def test_a_port_that_is_taken_is_told_with_what_to_do(home: Home) -> None:
    """And the process leaves with a code that says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            (sys.executable, "-m", "monitoring"),
            env={**os.environ, "SLUICE_HOME": str(home.root), "MONITORING_PORT": port},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert ended.returncode in {1, 2}
    assert "MONITORING_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not address_file(home.root).exists()
