"""The gateway as a process of its own: how it starts, what it does with bad HTTP, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts import gateway as paths
from gateway.protocol import MAX_HEAD_BYTES
from tests.gateway.app.stand import LIMIT_SECONDS, made_key

pytestmark = pytest.mark.xdist_group("gateway-server")


GARBAGE = (
    b"GARBAGE\r\n\r\n",
    b"GET / HTTP/1.1\r\nA B: c\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: g\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
)


class Process:
    """A gateway that listens."""

    def __init__(self, started: "subprocess.Popen[bytes]", log: Path, key: str) -> None:
        self._started = started
        self.log = log
        self.key = key
        self.port = self._port()

    def _port(self) -> int:
        for line in self.lines():
            if line.get("event") == "gateway_listening":
                return int(line["url"].rpartition(":")[2])
        raise AssertionError(self.log.read_text("utf-8"))

    def lines(self) -> Iterator[dict[str, Any]]:
        """Returns the log, line by line, until nothing more comes or time is over."""
        end = time.monotonic() + LIMIT_SECONDS
        seen = 0
        while time.monotonic() < end:
            text = self.log.read_text("utf-8").splitlines()
            for line in text[seen:]:
                if line.startswith("{"):
                    yield json.loads(line)
            seen = len(text)
            if self._started.poll() is not None:
                return
            time.sleep(0.05)

    def get(self, path: str) -> httpx.Response:
        """Asks for a page, on a connection of its own."""
        return httpx.get(
            f"http://127.0.0.1:{self.port}{path}", headers={"X-API-Key": self.key}, timeout=LIMIT_SECONDS
        )

    def told(self, signum: signal.Signals = signal.SIGTERM) -> None:
        """Sends a signal."""
        self._started.send_signal(signum)

    def ended(self) -> int:
        """Waits for the end, and returns the exit status."""
        return self._started.wait(LIMIT_SECONDS)

    def connected(self) -> socket.socket:
        """Returns a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_SECONDS)

    def feedback(self, name: str) -> tuple[bytes, bytes]:
        """Returns a request in two halves."""
        body = json.dumps({"request_id": name, "label": "spam"}).encode()
        head = f"POST {paths.FEEDBACK} HTTP/1.1\r\nHost: g\r\nX-API-Key: {self.key}\r\n"
        head += "X-Request-Timeout-Ms: 30000\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body[:10], body[10:]


def variables(root: Path, **values: str) -> dict[str, str]:
    """Returns the environment of a gateway with its state below `root`."""
    named = {f"GATEWAY_{name.upper()}": value for name, value in values.items()}
    return {**os.environ, "SLUICE_HOME": str(root), "GATEWAY_PORT": "0"} | named


@contextmanager
def running(root: Path, **values: str) -> Iterator[Process]:
    """Yields a gateway in a process of its own, ended at the end."""
    key = made_key(root, f"process-{time.monotonic_ns()}")
    log = root / f"gateway-{time.monotonic_ns()}.log"
    with log.open("wb") as stream:
        started = subprocess.Popen(
            (sys.executable, "-m", "gateway"), stderr=stream, env=variables(root, **values)
        )
    try:
        yield Process(started, log, key)
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()


def started_and_ended(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Returns what came of a gateway that does not start."""
    command = (sys.executable, "-m", "gateway", *arguments)
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS, env=environment
    )


def answer_on(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Returns status, headers and body of the next answer on a connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        assert more, received
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in rest)
    while len(body) < int(headers["content-length"]):
        more = connection.recv(65536)
        assert more
        body += more
    return int(first.split()[1]), headers, body


def test_what_is_in_flight_is_answered_when_it_is_told_to_stop(root: Path) -> None:
    """Ready says no first, new requests are still taken, then nobody is let in; it ends with 0."""
    with running(root, notice_seconds="60", drain_seconds="60") as gateway:
        assert gateway.get(paths.LIVE).status_code == 200
        first, rest = gateway.feedback("in-flight")
        with closing(gateway.connected()) as busy, closing(gateway.connected()) as idle:
            busy.sendall(first)
            idle.sendall(f"GET {paths.LIVE} HTTP/1.1\r\nHost: g\r\n\r\n".encode())
            assert answer_on(idle)[0] == 200
            gateway.told()
            while (ready := gateway.get(paths.READY)).json()["code"] != "shutting_down":
                time.sleep(0.02)
            assert ready.status_code == 503
            assert gateway.get(paths.MODELS).status_code == 200
            gateway.told()
            assert idle.recv(1) == b""
            end = time.monotonic() + LIMIT_SECONDS
            while time.monotonic() < end:
                try:
                    gateway.connected().close()
                except ConnectionRefusedError:
                    break
            busy.sendall(rest)
            status, headers, body = answer_on(busy)
            assert (status, json.loads(body)["outcome"]) == (200, "created")
            assert headers["connection"] == "close"
        assert gateway.ended() == 0
        assert any(line["event"] == "gateway_stopped" for line in gateway.lines())


def test_what_outlasts_its_time_is_told_that_the_gateway_stops(root: Path) -> None:
    """And not just cut off."""
    with running(root, drain_seconds="0.2") as gateway, closing(gateway.connected()) as slow:
        slow.sendall(gateway.feedback("too-slow")[0])
        assert gateway.get(paths.LIVE).status_code == 200
        gateway.told()
        status, headers, body = answer_on(slow)
        assert (status, json.loads(body)["code"]) == (503, "shutting_down")
        assert headers["content-type"] == "application/problem+json"
        assert gateway.ended() == 0


def test_bad_http_is_a_problem_or_the_end_of_its_connection(root: Path) -> None:
    """Whatever comes, the next caller is served."""
    with running(root) as gateway:
        for garbage in GARBAGE:
            with closing(gateway.connected()) as connection:
                connection.sendall(garbage)
                status, headers, body = answer_on(connection)
                assert (status, json.loads(body)["code"]) == (400, "invalid_request"), garbage
                assert headers["content-type"] == "application/problem+json"
        with closing(gateway.connected()) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            with pytest.raises(ConnectionError):  # noqa: PT012 - which write sees it is the system's choice
                for _ in range(4):
                    connection.sendall(b"X-A: " + b"a" * MAX_HEAD_BYTES + b"\r\n")
                    if connection.recv(1) == b"":
                        raise ConnectionResetError
        # Refused by its length: not a byte of the body was sent.
        with closing(gateway.connected()) as connection:
            head = gateway.feedback("x")[0].partition(b"Content-Length")[0]
            connection.sendall(head + b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n")
            assert answer_on(connection)[0] == 413
        # Noticed while it comes: a chunked body does not tell its length.
        with closing(gateway.connected()) as connection:
            connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            chunk = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
            for _ in range(5):
                connection.sendall(chunk)
            assert answer_on(connection)[0] == 413
        # Several requests in one piece are answered in their order.
        with closing(gateway.connected()) as connection:
            connection.sendall(f"GET {paths.LIVE} HTTP/1.1\r\nHost: g\r\n\r\n".encode() * 3)
            received = b""
            while received.count(b"HTTP/1.1 200") < 3:
                more = connection.recv(65536)
                assert more
                received += more
        with closing(gateway.connected()) as connection:
            large = json.dumps({"request_id": "x", "label": "x" * 200_000}).encode()
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(large) + large)
            assert answer_on(connection)[0] == 422
        assert gateway.get(paths.LIVE).status_code == 200
        gateway.told(signal.SIGINT)
        assert gateway.ended() == 0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"authentication": "false"}, "GATEWAY_AUTHENTICATION is off outside development."),
        ({"cors_origins": '["*"]'}, "wildcards are refused"),
    ],
)
def test_settings_that_make_no_sense_end_it_with_a_sentence(
    root: Path, values: dict[str, str], sentence: str
) -> None:
    """Before it listens, and without a stack."""
    done = started_and_ended(variables(root, **values))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_ends_it(root: Path) -> None:
    """With the reason in the log, and what to do; 3 would mean that a gate refused it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = started_and_ended(variables(root, port=str(taken.getsockname()[1])))
    assert done.returncode == 1
    assert "address already in use" in done.stderr.lower()
    assert "GATEWAY_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_arguments_are_refused() -> None:
    """Nobody who asks for help has a gateway started instead."""
    done = started_and_ended(dict(os.environ), "--help")
    assert done.returncode == 1
    assert "takes no arguments" in done.stderr


def test_a_part_that_cannot_be_opened_ends_it(root: Path, tmp_path: Path) -> None:
    """With the reason in the log."""
    broken = tmp_path / "keys.json"
    broken.write_text("{")
    done = started_and_ended(variables(root, keys_file=str(broken)))
    assert done.returncode == 1
    assert str(broken) in done.stderr
    assert "Traceback" not in done.stderr
