"""`sluice features`: what each command prints, does, and says when it cannot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contracts.features import NUMERIC_NAMES, SCHEMA_DIGEST
from kit.errors import ExitCode

if TYPE_CHECKING:
    import pyarrow as pa

pytestmark = pytest.mark.xdist_group("feast-skew")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `sluice features ...` on a home of this test; returns exit code, output and errors."""
    from cli.main import main

    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def ran(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["features", *words])
        told = capsys.readouterr()
        return int(str(left.value.code)), told.out, told.err

    return ran


def as_json(run: Run, *words: str) -> dict[str, Any]:
    """Runs a command that must succeed and returns its one JSON document."""
    code, out, err = run(*words, "--json")
    assert code == ExitCode.DONE, err
    return dict(json.loads(out))


def write_corpus(home: Path, corpus: "pa.Table", rows: int) -> None:
    """Writes the first rows of the corpus where `sluice data fetch` puts it."""
    import pyarrow.parquet as pq

    (home / "corpus").mkdir()
    pq.write_table(corpus.slice(0, rows), home / "corpus" / "corpus.parquet")


def test_the_commands_lead_from_nothing_to_numbers(run: Run, tmp_path: Path, corpus: "pa.Table") -> None:
    """Describe, apply, materialise, look up: each tells what the one before did."""
    empty = as_json(run, "describe")
    assert empty["stores"]["registered"] is False
    assert [feature["name"] for feature in empty["features"]] == list(NUMERIC_NAMES)
    assert empty["schema_digest"] == SCHEMA_DIGEST
    applied = as_json(run, "apply")
    assert applied == as_json(run, "apply")
    assert len(applied["views"]["sender_history"]) + len(applied["views"]["domain_history"]) == 8
    write_corpus(tmp_path, corpus, 300)
    made = as_json(run, "materialize", "--until", "2002-11-01")
    assert made["messages"] + made["corpus_messages_without_event"] == made["corpus_messages"] == 300
    full = as_json(run, "describe")["stores"]
    assert full["registered"] is True
    assert full["online_until"] == "2002-11-01T00:00:00+00:00"
    assert full["messages"] == made["messages"]
    assert full["sender_rows"] == made["offline_rows"]["sender"]
    assert full["pending_senders"] == 0
    known = as_json(run, "lookup", "rssfeeds@spamassassin.taint.org", "--at", "2002-11-01")
    assert known["entities"]["sender"]["outcome"] == "found"
    assert known["numbers"]["sender_message_count"] > 0
    old = as_json(run, "lookup", "rssfeeds@spamassassin.taint.org", "--at", "2012-11-01T02:00:00+02:00")
    assert old["at"] == "2012-11-01T00:00:00+00:00"
    assert old["entities"]["sender"]["outcome"] == "expired"
    assert old["numbers"]["sender_message_count"] == 0


def test_the_tables_are_for_people(run: Run) -> None:
    """Every command answers without --json too, and says what to do next."""
    code, out, _ = run("apply")
    assert code == ExitCode.DONE
    assert "spam_detector_v1" in out
    code, out, err = run("materialize")
    assert code == ExitCode.DONE
    assert "sluice data fetch" in err
    code, out, err = run("lookup", "nobody@example.org")
    assert code == ExitCode.DONE
    assert "sender_spam_ratio" in out
    assert "unknown" in err
    code, out, _ = run("describe")
    assert code == ExitCode.DONE
    assert all(name in out for name in NUMERIC_NAMES)


def test_a_lookup_before_materialisation_says_what_to_run(run: Run) -> None:
    """Exit 1, and the next step."""
    code, _, err = run("lookup", "a@example.org")
    assert code == ExitCode.FAILED
    assert "sluice features materialize" in err


def test_a_time_that_is_none_is_wrong_usage(run: Run) -> None:
    """Exit 2, and how to write it."""
    for words in (("materialize", "--until", "yesterday"), ("lookup", "a@b", "--at", "2002-13-01")):
        code, _, err = run(*words)
        assert code == ExitCode.USAGE
        assert "2002-10-01" in err


def test_a_mistyped_setting_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command starts on settings that are not what was meant."""
    monkeypatch.setenv("FEATURE_REPO_ONLINE_STORES", "redis")
    code, _, err = run("apply")
    assert code == ExitCode.USAGE
    assert "FEATURE_REPO_ONLINE_STORE" in err


def test_help_teaches_with_examples(run: Run) -> None:
    """Every command shows how it is called."""
    for command in ("apply", "materialize", "lookup", "describe"):
        code, out, _ = run(command, "--help")
        assert code == ExitCode.DONE
        assert f"sluice features {command}" in out
