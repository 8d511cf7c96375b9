"""The demo is made of commands that exist, and stops at the first that fails."""

import json
from pathlib import Path

import pytest

from cli import demo
from cli.demo import STEPS, Step
from cli.main import load, main


@pytest.mark.parametrize("step", STEPS, ids=lambda step: " ".join(step.arguments))
def test_every_step_is_a_command_that_prints_json(step: Step) -> None:
    """A command that was renamed is noticed here, and not on the first day of a newcomer."""
    name, *rest = step.arguments
    command = load(name)
    if getattr(command, "commands", None):
        command = command.commands[rest[0]]
    assert "--json" in [option for parameter in command.params for option in parameter.opts]


def test_the_answers_of_all_steps_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was shown in a line is on disk in full."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    steps = (Step(("records", "upgrade"), "now at {revision}"), Step(("records", "status"), "{dialect}"))
    monkeypatch.setattr(demo, "STEPS", steps)
    with pytest.raises(SystemExit) as left:
        main(["demo", "--json"])
    assert left.value.code == 0
    kept = json.loads((tmp_path / "demo.json").read_text("utf-8"))
    assert json.loads(capsys.readouterr().out) == kept
    assert [step["command"] for step in kept["steps"]] == ["records upgrade", "records status"]
    assert kept["steps"][1]["answer"]["dialect"] == "sqlite"


def test_a_step_that_fails_stops_the_demo_with_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No later step runs, nothing is written, and the reader sees which command to look at."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setattr(demo, "STEPS", (Step(("data", "describe"), "described"), Step(("no", "such"), "")))
    with pytest.raises(SystemExit) as left:
        main(["demo"])
    assert left.value.code == 1
    told = capfd.readouterr().err
    assert "sluice data describe left with exit code" in told
    assert not (tmp_path / "demo.json").exists()
