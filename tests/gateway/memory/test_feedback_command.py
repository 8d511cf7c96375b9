"""`sluice feedback` against a real gateway of this machine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from contracts.gateway import development_key_file
from kit.errors import ExitCode

pytestmark = pytest.mark.xdist_group("gateway-feedback")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[tuple[Path, str]]:
    """The home and the address of a gateway with a development key, and nothing behind it."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(migrated_file, home / "records.db")
    own = {"SLUICE_HOME": str(home), "GATEWAY_DEVELOPMENT": "true", "GATEWAY_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "gateway"],
        cwd=Path(__file__).parents[3],
        env=os.environ | own,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            told = (json.loads(text) for text in process.stderr if text.startswith("{"))
            url = next(entry["url"] for entry in told if entry["event"] == "gateway_listening")
            # Nobody reads on, and a full pipe would hold the gateway up.
            Thread(target=process.stderr.read, daemon=True).start()
            yield home, url
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def run(
    gateway: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs `sluice feedback` on the gateway's machine; returns exit code, output and errors."""
    from cli.main import main

    monkeypatch.setenv("SLUICE_HOME", str(gateway[0]))
    monkeypatch.setenv("GATEWAY_PORT", gateway[1].rpartition(":")[2])

    def ran(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["feedback", *words])
        told = capsys.readouterr()
        return int(str(left.value.code)), told.out, told.err

    return ran


def test_feedback_reaches_the_gateway_of_this_machine(run: Run) -> None:
    """With the development key; noted, known, corrected."""
    for label, outcome in (("spam", "created"), ("spam", "unchanged"), ("ham", "changed")):
        code, out, err = run("request-1", label, "--json")
        assert code == ExitCode.DONE, err
        assert json.loads(out)["outcome"] == outcome
    code, _, err = run("request-1", "spam")
    assert (code, err) == (ExitCode.DONE, "Corrected: request-1 was spam.\n")


def test_a_key_may_be_given_or_set(
    run: Run, gateway: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The option stands above the setting, and the setting above the development key."""
    good = development_key_file(gateway[0]).read_text().strip()
    monkeypatch.setenv("SLUICE_API_KEY", "of-nobody")
    code, _, err = run("request-2", "spam")
    assert code == ExitCode.FAILED
    assert "of-nobody" not in err
    assert run("request-2", "spam", "--key", good)[0] == ExitCode.DONE
    monkeypatch.delenv("SLUICE_API_KEY")
    (tmp_path / "key").write_text(good + "\n")
    monkeypatch.setenv("SLUICE_API_KEY_FILE", str(tmp_path / "key"))
    assert run("request-2", "spam", "--url", gateway[1] + "/")[0] == ExitCode.DONE


def test_what_the_gateway_refuses_is_told_with_its_reason(run: Run) -> None:
    """For people and as a problem document."""
    code, _, err = run("x" * 300, "spam")
    assert code == ExitCode.FAILED
    assert "request_id" in err
    code, out, _ = run("x" * 300, "spam", "--json")
    assert code == ExitCode.FAILED
    assert json.loads(out)["code"] == "feedback_refused"


def test_a_label_that_is_none_is_refused_before_anybody_is_asked(run: Run) -> None:
    """As wrong usage, with those there are."""
    code, _, err = run("request-3", "maybe")
    assert code == ExitCode.USAGE
    assert "spam" in err


class Other(BaseHTTPRequestHandler):
    """Something that is no gateway."""

    answers: ClassVar = [(200, b"<html>hello"), (404, b"[1]"), (200, b"[]"), (500, b'{"detail": "broken"}')]

    def do_POST(self) -> None:
        """Answers the next of `answers`."""
        status, body = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


def test_nothing_or_something_else_in_its_place_says_what_to_do(run: Run) -> None:
    """A port where nobody listens, another server, no address at all."""
    server = HTTPServer(("127.0.0.1", 0), Other)
    thread = Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    for _ in range(len(Other.answers)):
        code, out, _ = run("request-4", "spam", "--url", url, "--json")
        assert code == ExitCode.FAILED
        assert json.loads(out)["code"] == "gateway_unreachable"
    server.shutdown()
    thread.join()
    server.server_close()
    for wrong in (url, "http://[", "not an address"):
        code, _, err = run("request-4", "spam", "--url", wrong)
        assert code == ExitCode.FAILED
        assert "sluice up" in err
