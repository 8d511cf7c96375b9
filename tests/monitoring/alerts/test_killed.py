"""A drift run that is killed, wherever it is, loses nothing and tells nothing twice; nor do two at once."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from kit.bundle import load
from kit.home import Home
from monitoring.drift.reference import reference_of
from records.postgresql import Postgresql
from records.settings import SQLITE
from records.tables import DatasetMetric, MonitoringAlert, WebhookDelivery
from tests.monitoring.bundles import FLOWER, flower_bundle
from tests.monitoring.traffic import record, resampled, rows_of
from tests.records.conftest import connect, migrated

REPOSITORY = Path(__file__).parents[3]
_NUMBERS = count()
pytestmark = pytest.mark.xdist_group("monitoring-alerts")


class Runs:
    """A process that runs the drift job in children."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.monitoring.alerts.dying"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Runs what is asked, all at once, and returns how each ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        answer: list[dict[str, Any]] = json.loads(stdout.readline())
        return answer

    def end(self) -> None:
        """Ends the process, and children of it that wait for each other."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """The process that runs jobs."""
    running = Runs()
    yield running
    running.end()


@pytest.fixture(scope="module")
def busy(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A machine that has answered 250 requests, whose numbers drifted; to be copied."""
    home = Home(tmp_path_factory.mktemp("busy"))
    flower_bundle(home.bundles / FLOWER / "1")
    shutil.copy(Home(machine).records, home.records)
    asyncio.run(_traffic(f"{SQLITE}:///{home.records}", home))
    return home


async def _traffic(address: str, home: Home) -> None:
    reference = reference_of(load(home.bundles / FLOWER / "1"))
    memory = connect(address)
    chosen = resampled(reference, 250)
    await record(memory, rows_of(reference, chosen, numbers=lambda matrix: np.asarray(matrix + 1.5)))
    await memory.close()


class Place:
    """A database with the traffic, and homes to run the job in."""

    def __init__(self, address: str, homes: list[Path]) -> None:
        self.address, self._homes = address, homes

    def asked(self, minute: int = 0, home: int = 0, **how: Any) -> dict[str, Any]:
        """Returns how the job is to be run."""
        return {"address": self.address, "home": str(self._homes[home]), "minute": minute, **how}

    def kept(self) -> dict[str, Any]:
        """Returns what is in the records: alerts and how often seen, messages, drift runs."""
        return asyncio.run(self._kept())

    async def _kept(self) -> dict[str, Any]:
        memory = connect(self.address)
        async with memory.reading() as session:
            alerts = list(await session.scalars(select(MonitoringAlert)))
            messages = list(await session.scalars(select(WebhookDelivery)))
            measured = list(await session.scalars(select(DatasetMetric.metric)))
        await memory.close()
        return {
            "alerts": [(alert.family, alert.occurrences, alert.is_open) for alert in alerts],
            "messages": Counter((message.channel, message.change) for message in messages),
            "runs": measured.count("drift_run"),
        }


NOTHING: dict[str, Any] = {"alerts": [], "messages": Counter(), "runs": 0}
ONCE = {
    "alerts": [("numbers", 1, True)],
    "messages": Counter({("all", "opened"): 1, ("two", "opened"): 1}),
    "runs": 1,
}


@pytest.fixture
def places(busy: Home, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Makes places, each of its own, on a database of the given kind."""
    made: list[str] = []
    addresses: list[str] = []

    def place(kind: str, homes: int = 1) -> Place:
        number = len(made)
        made.append(kind)
        folders = [
            Path(shutil.copytree(busy.bundles, tmp_path / f"{number}-{at}" / "bundles")).parent
            for at in range(homes)
        ]
        if kind == "sqlite":
            return Place(f"{SQLITE}:///{shutil.copy(busy.records, folders[0] / 'records.db')}", folders)
        server: Postgresql = request.getfixturevalue("server")
        if made.count(kind) == 1:
            address = server.create_database(f"killed_{next(_NUMBERS)}")
            migrated(address)
            asyncio.run(_traffic(address, busy))
            addresses.append(address)
        written = ("webhook_deliveries", "monitoring_alerts", "dataset_metrics")
        server.execute(addresses[0].rpartition("/")[2], f"TRUNCATE {', '.join(written)}")
        return Place(addresses[0], folders)

    return place


def test_a_run_that_is_killed_at_any_step_is_made_up_for_by_the_next(runs: Runs, places: Any) -> None:
    """Run after run dies, each one step later, before its commit; the one that lives finds it all, once."""
    (whole,) = runs((place := places("sqlite")).asked())
    assert place.kept() == ONCE
    assert whole["steps"].count("commit") == 2  # the drift with its alerts, then the end of the job
    place = places("sqlite")
    for kill in range(1, whole["steps"].index("commit") + 2):
        (killed,) = runs(place.asked(minute=kill, kill=kill))
        assert killed == {"signal": signal.SIGKILL}
        assert place.kept() == NOTHING, whole["steps"][:kill]
    (again,) = runs(place.asked(minute=59))
    assert (again["measured"], again["refused"]) == (1, None)
    assert place.kept() == ONCE


def test_a_run_that_is_killed_after_its_commit_is_not_done_again(runs: Runs, places: Any) -> None:
    """Before each further step, and at the very end: the next run finds nothing new, and tells nothing."""
    (whole,) = runs(places("sqlite").asked())
    for kill in range(whole["steps"].index("commit") + 2, len(whole["steps"]) + 2):
        place = places("sqlite")
        (killed,) = runs(place.asked(kill=kill))
        assert killed == {"signal": signal.SIGKILL}
        assert place.kept() == ONCE
        (again,) = runs(place.asked(minute=1))
        assert again["refused"] == "too_few_rows"
        assert place.kept() == ONCE


def test_on_postgresql_too(runs: Runs, places: Any) -> None:
    """Before the last statement, before the commit, and after it."""
    (whole,) = runs((place := places("postgresql")).asked())
    assert place.kept() == ONCE
    commit = whole["steps"].index("commit") + 1
    for kill, kept in ((commit - 1, NOTHING), (commit, NOTHING), (commit + 1, ONCE)):
        place = places("postgresql")
        (killed,) = runs(place.asked(kill=kill))
        assert killed == {"signal": signal.SIGKILL}
        assert place.kept() == kept
        runs(place.asked(minute=1))
        assert place.kept() == ONCE


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_machines_that_measure_at_once_find_it_once(runs: Runs, places: Any, kind: str) -> None:
    """Both have measured and are about to write: one does, and the other is told that it was done."""
    place = places(kind, homes=2)
    both = runs(*(place.asked(minute=at, home=at, together=True) for at in (0, 1)))
    assert [each["signal"] for each in both] == [0, 0]
    assert sorted(str(each["refused"]) for each in both) == ["None", "window_measured"]
    assert place.kept() == ONCE


def test_two_runs_on_one_machine_do_not_meet(runs: Runs, places: Any) -> None:
    """The second is told that one is under way; or it came later, and finds nothing new."""
    place = places("sqlite")
    both = runs(place.asked(), place.asked(minute=1))
    assert sorted(each.get("measured", 0) for each in both) == [0, 1]
    assert {each["refused"] for each in both} < {None, "locked", "too_few_rows", "window_measured"}
    assert place.kept() == ONCE
