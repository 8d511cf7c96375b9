"""`sluice bench` measures what was asked for and keeps the figures."""

import json
from pathlib import Path

import pytest

from cli.bench import MEASUREMENTS
from cli.main import main
from kit.benchmark import Figure, median_seconds


def test_only_the_named_measurement_runs_and_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed document is the one on disk."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setitem(MEASUREMENTS, "start-up", "tests.cli.measuring:measure")
    with pytest.raises(SystemExit) as left:
        main(["bench", "start-up", "--json"])
    assert left.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "bench.json").read_text("utf-8"))
    figure = Figure(**printed["figures"]["start-up"][0])
    assert (figure.value, figure.unit, figure.ratio) == (2.0, "s", 0.5)


def test_what_cannot_be_measured_does_not_keep_the_rest_from_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told with its reason and what to do, and the exit code says that something is missing."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setitem(MEASUREMENTS, "start-up", "tests.cli.measuring:lack")
    monkeypatch.setitem(MEASUREMENTS, "corpus", "tests.cli.measuring:measure")
    with pytest.raises(SystemExit) as left:
        main(["bench", "--only", "start-up", "--only", "corpus"])
    assert left.value.code == 1
    kept = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert list(kept["figures"]) == ["corpus"]
    assert kept["not_measured"]["start-up"]["next_step"] == "Bring something."
    told = capsys.readouterr()
    assert "There is nothing to measure." in told.err
    assert "a thing" in told.out


def test_measuring_one_thing_again_keeps_the_figures_of_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its own time and machine; a file that cannot be read is begun anew."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    file = tmp_path / "bench.json"
    old = {"name": "an old thing", "value": 1.0, "unit": "s"}
    former = {"measured_at": "2026-01-01", "machine": {"cores": 64}}
    kept = {"figures": {"corpus": [old], "start-up": [old]}, "runs": {"corpus": former, "start-up": former}}
    monkeypatch.setitem(MEASUREMENTS, "start-up", "tests.cli.measuring:measure")
    for text, names in ((json.dumps(kept), {"corpus", "start-up"}), ("{", {"start-up"})):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit):
            main(["bench", "start-up", "--json"])
        found = json.loads(file.read_text("utf-8"))
        assert set(found["figures"]) == set(found["runs"]) == names
        assert found["figures"]["start-up"][0]["name"] == "a thing"
        assert found["runs"]["start-up"]["measured_at"] == found["measured_at"]
        assert found["runs"].get("corpus", former) == former


def test_an_unknown_measurement_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """The answer names what can be measured."""
    with pytest.raises(SystemExit) as left:
        main(["bench", "--only", "luck"])
    assert left.value.code == 2
    assert "extraction" in capsys.readouterr().err


def test_the_first_call_is_not_counted() -> None:
    """Caches are warm when measuring begins: of n repeats there are n + 1 calls."""
    calls: list[int] = []
    assert median_seconds(lambda: calls.append(1), repeats=3) >= 0
    assert len(calls) == 4
