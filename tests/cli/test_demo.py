"""The demo is made of commands that exist, and stops at the first that fails."""

import json
from pathlib import Path

import pytest

from cli.demo import EXAMPLES, STEPS, DemoFailed, Step, carried_out
from cli.main import load


@pytest.mark.parametrize("step", STEPS, ids=lambda step: " ".join(step.arguments))
def test_every_step_is_a_command_that_prints_json(step: Step) -> None:
    """A command that was renamed is noticed here, and not on the first day of a newcomer."""
    name, *rest = step.arguments
    command = load(name)
    if getattr(command, "commands", None):
        command = command.commands[rest[0]]
    assert "--json" in [option for parameter in command.params for option in parameter.opts]


def test_what_a_step_leaves_running_is_ended_by_a_command_that_exists() -> None:
    """The demo leaves no process behind."""
    endings = [step.ended_by for step in STEPS if step.ended_by]
    assert endings == [("down",)]
    assert load("down").name == "down"


def test_the_examples_are_there() -> None:
    """The e-mails that are asked about belong to the repository."""
    named = [Path(word) for step in STEPS for word in step.arguments if word.endswith(".eml")]
    assert named
    assert [path for path in named if not path.is_file() or path.parent != EXAMPLES] == []


def test_the_answers_of_all_steps_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was shown in a line is on disk in full, and an ending comes last."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    steps = (
        Step(("records", "upgrade"), "now at {revision}", ended_by=("features", "describe")),
        Step(("records", "status"), "{dialect}"),
    )
    document = carried_out(steps)
    assert json.loads((tmp_path / "demo.json").read_text("utf-8")) == document
    assert [step["command"] for step in document["steps"]] == [
        "records upgrade",
        "records status",
        "features describe",
    ]
    assert document["steps"][1]["answer"]["dialect"] == "sqlite"


def test_a_step_that_fails_stops_the_demo_with_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No later step runs, nothing is written, what runs is ended, and the reader sees where to look."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    steps = (
        Step(("records", "upgrade"), "", ended_by=("records", "status")),
        Step(("data", "describe"), "described"),
        Step(("no", "such"), ""),
    )
    with pytest.raises(DemoFailed, match="sluice data describe left with exit code"):
        carried_out(steps)
    told = capfd.readouterr().err
    assert "$ sluice records status" in told
    assert "no such" not in told
    assert not (tmp_path / "demo.json").exists()
