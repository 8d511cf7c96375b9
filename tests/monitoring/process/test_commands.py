"""`sluice monitoring check`, as a person types it."""

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from cli.main import main
from contracts.gateway import address_file
from kit.files import write_text
from kit.home import Home
from tests.monitoring.conftest import connect
from tests.monitoring.process.running import PREFIXES
from tests.monitoring.process.test_feature_checks import record, rows


@pytest.fixture(autouse=True)
def here(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command runs for this machine."""
    for name in list(os.environ):
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_HOME", str(home.root))


def sluice(*words: str) -> int | str | None:
    """Runs the command and returns its exit code."""
    with pytest.raises(SystemExit) as left:
        main(("monitoring", *words))
    return left.value.code


def test_where_nothing_is_amiss_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a gateway too, which is told."""
    assert sluice("check") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "Nothing is amiss" in told
    assert "No gateway is known here: sluice up" in told
    assert "Open:" not in told


def test_what_it_finds_is_an_alert(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, for a script."""

    async def written() -> None:
        memory = connect(home.records)
        await record(memory, rows(30, "less", sender=None, defaulted_features=8), datetime.now(UTC))
        await memory.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, written()).result()
    assert sluice("check", "--json") == 0
    (said,) = json.loads(capsys.readouterr().out)["said"]
    assert (said["kind"], said["change"], said["environment"]) == ("stale_features", "opened", "production")
    assert sluice("check") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "Nothing is amiss since the last look" in told
    assert "Open: sluice alerts show spam-detector/production/stale_features/" in told


def test_a_gateway_that_does_not_answer_is_told_by_the_exit_code(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is where `sluice up` wrote that it is."""
    write_text(address_file(home.root), "http://127.0.0.1:9\n")
    assert sluice("check") == 1
    assert "http://127.0.0.1:9" in capsys.readouterr().err


def test_the_process_begins_without_what_its_jobs_need() -> None:
    """Drift and ingest are processes of their own: none of their libraries is imported here."""
    heavy = "('pandas', 'scipy', 'sklearn', 'evidently', 'feast', 'pyarrow', 'mlflow', 'onnxruntime')"
    code = f"import sys, monitoring.server; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_wrong_settings_are_told_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the variable's name."""
    monkeypatch.setenv("MONITORING_PORT", "http")
    assert sluice("run") == 2
    assert "MONITORING_PORT" in capsys.readouterr().err
