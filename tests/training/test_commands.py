"""`sluice data` from the outside: exit codes, JSON, and what a person reads."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one command in a fresh home; returns exit code, standard output and standard error."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["data", *arguments])
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return command


def document(answer: tuple[int, str, str]) -> Any:
    """Returns the JSON that a command printed."""
    return json.loads(answer[1])


def test_fetch_validate_describe_of_a_small_corpus(
    run: Run, mail_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three steps of a person, each with its fingerprint."""
    monkeypatch.setenv("TRAINING_MIN_MESSAGES", "5")
    monkeypatch.setenv("TRAINING_MAX_DUPLICATE_SHARE", "1")
    fetched = document(run("fetch", "--from", str(mail_folder), "--json"))
    assert (fetched["read"], fetched["kept"], fetched["quarantined"], fetched["unchanged"]) == (
        8,
        8,
        0,
        False,
    )
    assert document(run("fetch", "--from", str(mail_folder), "--json"))["unchanged"] is True
    validated = document(run("validate", "--json"))
    described = document(run("describe", "--json"))
    assert fetched["fingerprint"] == validated["fingerprint"] == described["fingerprint"]
    assert all(check["passed"] for check in validated["checks"])
    monkeypatch.setenv("FEATURE_REPO_MESSAGE_MAX_PARTS", "7")
    assert document(run("fetch", "--from", str(mail_folder), "--json"))["unchanged"] is False
    page = tmp_path / "home" / "reports" / "corpus.html"
    assert described["page"] == str(page)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_tables_tell_a_person_the_same(run: Run, mail_folder: Path, tmp_path: Path) -> None:
    """Counts, fingerprint and the place of the page are in the output."""
    code, out, _ = run("fetch", "--from", str(mail_folder))
    assert code == 0
    assert "ham 5, spam 3" in out
    code, out, err = run("describe", "--html", str(tmp_path / "page.html"))
    assert code == 0
    assert "example.org" in out
    assert "page.html" in err.replace("\n", "")
    assert (tmp_path / "page.html").is_file()


def test_unfit_corpus_is_refused_with_exit_3_and_reasons(run: Run, mail_folder: Path) -> None:
    """Eight messages are too few: in words, and as a problem document."""
    run("fetch", "--from", str(mail_folder))
    code, _, err = run("validate")
    assert code == 3
    assert "8 messages; at least 200 are needed (TRAINING_MIN_MESSAGES)" in err
    answer = run("validate", "--json")
    assert answer[0] == 3
    assert document(answer)["code"] == "corpus_unfit"
    assert len(document(answer)["reasons"]) >= 1


@pytest.mark.parametrize("command", ["validate", "describe"])
def test_without_a_corpus_the_next_step_is_named(command: str, run: Run) -> None:
    """Exit 1, and the command that helps."""
    code, _, err = run(command)
    assert code == 1
    assert "sluice data fetch" in err


def test_absent_source_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    """Exit 2."""
    assert run("fetch", "--from", str(tmp_path / "absent"))[0] == 2


def test_without_npm_and_source_the_ways_are_named(tmp_path: Path) -> None:
    """A real process with an empty PATH and a Python that has no npm beside it."""
    code = (
        "import sys\n"
        "sys.executable = sys.argv[1] + '/python'\n"
        "from cli.main import main\n"
        "main(['data', 'fetch'])\n"
    )
    answer = subprocess.run(
        (sys.executable, "-c", code, str(tmp_path)),
        env={"SLUICE_HOME": str(tmp_path / "home"), "PATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 2
    assert "npm is not installed" in answer.stderr
    assert "sluice data fetch --from" in answer.stderr
