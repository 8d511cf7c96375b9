"""`sluice drift` as a user types it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.main import main
from kit.home import Home
from monitoring.drift.reference import Reference
from tests.monitoring.conftest import connect
from tests.monitoring.traffic import record, resampled, rows_of


@pytest.fixture
def here(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """This machine, for commands."""
    monkeypatch.setenv("SLUICE_HOME", str(home.root))
    monkeypatch.delenv("RECORDS_URL", raising=False)
    monkeypatch.setenv("MONITORING_DRIFT_DEALS", "700")
    monkeypatch.setenv("MONITORING_REPORT_WHEN", "never")
    return home


def traffic(home: Home, reference: Reference, rows: int, *, drift: bool = False) -> None:
    """Records predictions of the last hour."""

    def changed(matrix: np.ndarray) -> np.ndarray:
        every_second = np.where(np.arange(len(matrix)) % 2, 3.0 * drift, 0.0)
        return np.asarray(matrix + every_second[:, None])

    async def write() -> None:
        memory = connect(home.records)
        now = datetime.now(UTC)
        start, end = now - timedelta(hours=1), now - timedelta(minutes=1)
        made = rows_of(reference, resampled(reference, rows), start=start, end=end, numbers=changed)
        await record(memory, made)
        await memory.close()

    asyncio.run(write())


def run(*arguments: str) -> int:
    """Returns the exit code of `sluice drift …`."""
    with pytest.raises(SystemExit) as left:
        main(["drift", *arguments])
    return int(left.value.code or 0)


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    """Returns what was printed as JSON."""
    return json.loads(capsys.readouterr().out)


def test_run_and_report(here: Home, reference: Reference, capsys: pytest.CaptureFixture[str]) -> None:
    """A table by family, a refusal for the same window again, and the latest run from the records."""
    traffic(here, reference, 250)
    assert run("run", "--window", "2h") == 0
    shown = capsys.readouterr().out
    assert "250 predictions" in " ".join(shown.split())
    for family in ("header", "structure", "sender", "text", "score"):
        assert family in shown
    assert "quiet" in shown
    assert run("run", "--window", "2h") == 3
    told = " ".join(capsys.readouterr().err.split())
    assert "already" in told
    assert "Next:" in told
    assert run("report", "--environment", "production", "--json") == 0
    assert {row["family"]: row["drift"] for row in answer(capsys)} == dict.fromkeys(
        ("header", "structure", "sender", "text", "score"), 0.0
    )
    assert run("report") == 0
    assert "The latest drift runs" in capsys.readouterr().out


def test_a_drift_leaves_with_0_unless_a_script_asks_otherwise(
    here: Home, reference: Reference, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job did its work; `--fail-on-drift` makes the finding an exit code."""
    traffic(here, reference, 250, drift=True)
    assert run("run", "--rows", "250", "--json", "--workload", "spam-detector") == 0
    (result,) = answer(capsys)["results"]
    drifted = {family["family"] for family in result["families"] if family["verdict"] == "drift"}
    assert drifted == {"header", "structure", "sender"}
    assert run("run", "--fail-on-drift") == 3
    assert "DRIFT" in capsys.readouterr().out


def test_what_cannot_be_measured_says_why(
    here: Home, reference: Reference, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing recorded, too few rows, two windows at once, no duration."""
    assert run("run") == 3
    assert "No prediction is recorded" in capsys.readouterr().err
    traffic(here, reference, 5)
    assert run("run", "--json") == 3
    (refused,) = answer(capsys)["not_measured"]
    assert refused["code"] == "too_few_rows"
    assert "has 5 predictions" in refused["message"]
    assert run("run", "--rows", "9", "--window", "1h") == 2
    assert run("run", "--window", "yesterday") == 2
    assert "30m, 24h or 7d" in capsys.readouterr().err


def test_records_that_are_not_there_are_told(
    here: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home where nothing was migrated."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "nothing"))
    assert run("run") == 1
    assert "sluice records upgrade" in capsys.readouterr().err
