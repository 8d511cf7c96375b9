"""The `sluice` command is thin and lazy, and its exit codes are what the shell is promised."""

import json
import subprocess
import sys

import pytest

from cli.main import COMMANDS, Lazy, load, main
from kit.errors import Bug

HEAVY = (
    "pandas",
    "numpy",
    "pyarrow",
    "feast",
    "sqlalchemy",
    "sklearn",
    "matplotlib",
    "pandera",
    "httpx",
    "kfp",
    "mlflow",
    "ray",
)


def run(arguments: list[str]) -> int:
    """Returns the exit code of one command run in this process."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["data", "--help"],
        ["features", "--help"],
        ["records", "--help"],
        ["pipeline", "run", "--help"],
        ["model", "--help"],
    ],
)
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    """Help answers at once because nothing behind a command is imported for it."""
    code = (
        "import sys, json\nfrom cli.main import main\n"
        "try:\n    main(json.loads(sys.argv[1]))\n"
        "except SystemExit as left:\n    print('\\nLOADED', left.code, sorted(sys.modules))"
    )
    answer = subprocess.run(
        (sys.executable, "-c", code, json.dumps(arguments)), capture_output=True, text=True, check=True
    )
    loaded = answer.stdout.rpartition("LOADED ")[2]
    assert loaded.startswith("0 ")
    assert [name for name in HEAVY if f"'{name}'" in loaded] == []


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """What can be called is listed, with its sentence."""
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in shown] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command can be imported and has a help page of its own."""
    assert run([name, "--help"]) == 0
    assert "Usage: sluice" in capsys.readouterr().out


def test_a_mistyped_command_is_wrong_usage_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and the nearest name."""
    assert run(["dta"]) == 2
    assert "data" in capsys.readouterr().err


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice --version` is for bug reports."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sluice 0.")


@pytest.mark.parametrize(("command", "code"), [("refuse", 3), ("fail", 1)])
def test_errors_become_exit_codes_and_say_the_next_step(
    command: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person reads a sentence and what to do, and never a stack."""
    monkeypatch.setitem(COMMANDS, "doctor", Lazy(f"tests.cli.failing:{command}", "Fail."))
    assert run(["doctor"]) == code
    told = capsys.readouterr().err
    assert "Next: " in told
    assert "Traceback" not in told


def test_an_error_under_json_is_a_problem_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that asked for JSON gets JSON for a refusal as well."""
    monkeypatch.setitem(COMMANDS, "doctor", Lazy("tests.cli.failing:refuse", "Fail."))
    assert run(["doctor", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["code"], document["reasons"]) == ("refused", ["too few rows"])


def test_a_group_is_put_together_from_several_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice model` lists what training and what serving bring."""
    assert run(["model", "--help"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in ("list", "diff", "promote", "rollback") if name not in shown] == []


def test_two_packages_that_bring_the_same_command_are_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the two wins in silence."""
    target = "serving.model_commands:model"
    monkeypatch.setitem(COMMANDS, "doctor", Lazy(target, "Twice.", more=(target,)))
    with pytest.raises(Bug, match="sluice doctor manifests"):
        load("doctor")
