"""`sluice model promote`, `rollback` and `manifests`, as a person and as a script call them."""

import json
import os
import pty
import sys
from pathlib import Path

import pytest
import yaml

from cli.main import main
from contracts.environments import Environment
from kit.home import Home
from records import model_registry
from serving.promotion.ledger import history
from tests.serving.kserve.api_server import running
from tests.serving.kserve.test_kserve import settings_for
from tests.serving.promotion.shop import IRIS, pointed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")
PROMOTE = ["model", "promote", "1", "--to", "staging", "--reason", "It is better.", "--workload", IRIS]


def run(*arguments: str) -> int:
    """Returns the exit code of one command run in this process."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0)


def test_promote_and_rollback_tell_what_they_did_as_json(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing serves here, so ledger and alias move and the document says so; the second has a preview."""
    assert run(*PROMOTE, "--yes", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["moved"], first["live"], first["version"]) == (True, False, "1")
    assert "next sluice up" in first["sentence"]
    assert run("model", "promote", "2", *PROMOTE[3:], "--yes", "--json") == 0
    second = json.loads(capsys.readouterr().out)
    assert (second["former"], second["preview"]["before"], second["preview"]["after"]) == ("1", "1", "2")
    assert second["preview"]["test_split"]["rows"] > 0
    back = ("model", "rollback", "--in", "staging", "--reason", "Worse.", "--workload", IRIS)
    assert run(*back, "--yes", "--json") == 0
    third = json.loads(capsys.readouterr().out)
    assert (third["version"], third["preview"]) == ("1", None)
    assert pointed(model_registry.opened(home)) == "1"
    assert [row.action for row in history(IRIS, Environment.STAGING)] == ["rollback", "promote", "promote"]
    assert "@" in history(IRIS, Environment.STAGING)[0].actor


def test_the_preview_is_a_table_for_people(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Which verdicts change, what that costs, and what is not known."""
    assert run(*PROMOTE, "--yes") == 0
    capsys.readouterr()
    assert run("model", "promote", "2", *PROMOTE[3:], "--yes") == 0
    shown = capsys.readouterr()
    assert "now wrong" in shown.out
    assert "false positives" in shown.out
    assert "No prediction of version 1 in staging is recorded yet." in shown.err


def test_a_refused_version_leaves_with_the_gates_reasons(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3, for scripts."""
    assert run("model", "promote", "3", *PROMOTE[3:], "--yes") == 3
    assert "Its F1 is too low." in capsys.readouterr().err


def test_without_a_terminal_yes_must_be_said(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """A job must not hang on a question."""
    assert run(*PROMOTE) == 2
    assert "--yes" in capsys.readouterr().err


@pytest.mark.parametrize(("said", "code", "moved"), [("y", 0, "1"), ("n", 1, None)])
def test_a_person_is_asked_on_a_terminal(
    home: Home,
    said: str,
    code: int,
    moved: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And may say no."""
    leader, follower = pty.openpty()
    try:
        os.write(leader, f"{said}\n".encode())
        with os.fdopen(follower, encoding="utf-8") as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            assert run(*PROMOTE) == code
    finally:
        os.close(leader)
    assert "Serve version 1 in staging?" in capsys.readouterr().err
    assert pointed(model_registry.opened(home)) == moved


def test_manifests_are_printed_for_git_and_uploaded_on_request(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked of a cluster, and no alias moves."""
    monkeypatch.setenv("DEPLOYMENT_REPOSITORY_URI", str(tmp_path / "store"))
    monkeypatch.setenv("DEPLOYMENT_STORAGE_URI", "pvc://models")
    arguments = ("model", "manifests", "2", "--to", "production", "--workload", IRIS)
    assert run(*arguments) == 0
    manifest = yaml.safe_load(capsys.readouterr().out)
    uri = manifest["spec"]["predictor"]["model"]["storageUri"]
    assert manifest["metadata"]["name"] == IRIS
    assert uri.startswith("pvc://models/iris/repositories/2-")
    assert not (tmp_path / "store").exists()
    assert run(*arguments, "--upload", "--json") == 0
    assert json.loads(capsys.readouterr().out) == manifest
    assert (tmp_path / "store" / uri.removeprefix("pvc://models/") / IRIS / "2" / "model.onnx").is_file()
    assert pointed(model_registry.opened(home), Environment.PRODUCTION) is None
    assert run("model", "manifests", "3", "--to", "production", "--workload", IRIS) == 3


def test_a_setting_sends_promotions_to_a_cluster(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command, ledger and alias; other processes."""
    with running() as api:
        settings = settings_for(api.address, tmp_path)
        for name in ("kubeconfig", "namespace", "repository_uri", "poll_seconds"):
            monkeypatch.setenv(f"DEPLOYMENT_{name.upper()}", str(getattr(settings, name)))
        monkeypatch.setenv("DEPLOYMENT_PLACE", "cluster")
        for version in ("1", "2"):
            assert run("model", "promote", version, *PROMOTE[3:], "--yes", "--json") == 0
            told = json.loads(capsys.readouterr().out)
            assert (told["live"], told["version"]) == (True, version)
        assert list(api.services) == ["iris-staging"]
        api.wrong.add("1")
        assert run("model", "promote", "1", *PROMOTE[3:], "--yes") == 3
        assert "Golden row" in capsys.readouterr().err
        labels = api.services["iris-staging"]["spec"]["predictor"]["labels"]
        assert labels["sluice.dev/version"] == pointed(model_registry.opened(home)) == "2"
        assert list(api.services) == ["iris-staging"]
    assert [row.to_version for row in history(IRIS, Environment.STAGING)] == ["2", "1"]
