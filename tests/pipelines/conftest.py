"""Real runs and a real server for the tests of pipelines."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.main import main

COMMAND = (sys.executable, "-c", "from cli.main import main; main()")


def environment(home: Path, **more: str) -> dict[str, str]:
    """Returns the variables of a process that works in `home` alone, and measures little."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLUICE_", "TRAINING_", "PIPELINES_", "RECORDS_", "MLFLOW_", "RAY_"))
    }
    return kept | {
        "SLUICE_HOME": str(home),
        "TRAINING_EVALUATION_SEEDS": "[0, 1]",
        "TRAINING_BOOTSTRAP_RESAMPLES": "100",
    } | more  # fmt: skip


def sluice(
    home: Path, *arguments: str, timeout_seconds: float = 400, **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs one command in a process of its own and returns what it said."""
    return subprocess.run(
        (*COMMAND, *arguments),
        env=environment(home, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_seconds,
    )


Asked = Callable[..., Any]
"""Runs one command that only reads, in this process, and returns its JSON."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asked:
    """Commands that only read need no process of their own, and MLflow is imported once."""

    def ask(home: Path, *arguments: str) -> Any:
        for name in list(os.environ):
            if name not in environment(home):
                monkeypatch.delenv(name)
        for name, value in environment(home).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        told = json.loads(capsys.readouterr().out)
        return told if left.value.code == 0 else (int(left.value.code or 0), told)

    return ask


class Finished:
    """A run of the whole pipeline that ended well, and the home it ended in."""

    def __init__(self, home: Path, answer: subprocess.CompletedProcess[str]) -> None:
        self.home = home
        self.answer = answer
        self.summary: dict[str, Any] = json.loads(answer.stdout) if answer.returncode == 0 else {}


class FakeKubeflow:
    """A small HTTP server that speaks what we use of the v2beta1 API, with a memory."""

    def __init__(self) -> None:
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.schedules: list[dict[str, Any]] = []
        self.states = ["PENDING", "RUNNING", "SUCCEEDED"]
        """What a run is at each time it is asked about; the last one stays."""
        self.token: str | None = None
        self.status: int | None = None
        self.body: bytes | None = None
        self.asked: list[tuple[str, str]] = []
        self.page_size = 1
        kubeflow = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kubeflow.answer(self, None)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                kubeflow.answer(self, json.loads(self.rfile.read(length)))

            def log_message(self, *_arguments: Any) -> None:
                """Keeps the test output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}/pipeline"

    def answer(self, request: BaseHTTPRequestHandler, body: dict[str, Any] | None) -> None:
        """Answers one request."""
        path, _, query = request.path.partition("?")
        self.asked.append((request.command, path))
        if self.status is not None:
            self._send(request, self.status, self.body or b"{}")
            return
        if self.token is not None and request.headers["Authorization"] != f"Bearer {self.token}":
            self._send(request, 401, b"{}")
            return
        found = self._found(path.removeprefix("/pipeline/apis/v2beta1/"), query, body)
        if found is None:
            missing = {"error": "not found", "code": 5, "message": f"{path} is not there"}
            self._send(request, 404, json.dumps(missing).encode())
        else:
            self._send(request, 200, json.dumps(found).encode())

    def _found(self, path: str, query: str, body: dict[str, Any] | None) -> Mapping[str, Any] | None:
        if path == "experiments" and body is None:
            start = int(query.partition("page_token=")[2].partition("&")[0] or 0)
            end = start + self.page_size
            more = {"next_page_token": str(end)} if end < len(self.experiments) else {}
            return {"experiments": self.experiments[start:end], **more}
        if path == "experiments" and body is not None:
            self.experiments.append({**body, "experiment_id": f"e{len(self.experiments)}"})
            return self.experiments[-1]
        if path == "runs" and body is not None:
            self.runs.append({**body, "run_id": f"r{len(self.runs)}", "state": "PENDING"})
            return self.runs[-1]
        if path == "recurringruns" and body is not None:
            self.schedules.append({**body, "recurring_run_id": f"s{len(self.schedules)}"})
            return self.schedules[-1]
        for run in self.runs:
            if path == f"runs/{run['run_id']}":
                run["state"] = self.states.pop(0) if len(self.states) > 1 else self.states[0]
                return run
        return None

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        if status == 302:
            request.send_header("Location", "/login")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@pytest.fixture
def kubeflow() -> Iterator[FakeKubeflow]:
    """The server, running; it is stopped after the test."""
    made = FakeKubeflow()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()
