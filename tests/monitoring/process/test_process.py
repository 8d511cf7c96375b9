"""One process, asked by everybody: pages, hooks, health and metrics, and whoever means no good."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts import metrics as contract
from contracts.monitoring import CONSOLE, HOOK_DRIFT, LIVE, METRICS, READY
from tests.monitoring.process.running import Running, running

pytestmark = pytest.mark.xdist_group("monitoring-process")


@pytest.fixture(scope="module")
def process(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Of a home without a prediction; it runs no jobs."""
    folder = tmp_path_factory.mktemp("process")
    home = folder / "home"
    home.mkdir()
    (home / "records.db").write_bytes((machine / "records.db").read_bytes())
    with running(home, folder / "log", MONITORING_SCHEDULE="false") as made:
        yield made


def test_it_is_live_and_ready_and_shows_pages(process: Running) -> None:
    """The console leads to its sign-in."""
    assert process.get(LIVE).json() == {"status": "live"}
    assert process.get(READY).json() == {"status": "ready"}
    assert process.get("/").headers["location"] == CONSOLE
    assert process.get(f"{CONSOLE}/").status_code == 303
    assert process.get(f"{CONSOLE}/sign-in").headers["content-type"].startswith("text/html")


def test_every_answer_tells_browsers_to_be_careful(process: Running) -> None:
    """And has an id, the caller's own if it is one."""
    for path in (LIVE, METRICS, "/nowhere", f"{CONSOLE}/sign-in"):
        head = process.get(path).headers
        assert head["x-content-type-options"] == "nosniff"
        assert head["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in head["content-security-policy"]
        assert len(head["x-request-id"]) >= 16


def test_every_metric_is_one_of_the_contract(process: Running) -> None:
    """Names, kinds and labels; of a home where nothing happened there is little to tell."""
    known = {metric.name: metric for metric in contract.METRICS}
    found = {}
    for family in text_string_to_metric_families(process.get(METRICS).text):
        for sample in family.samples:
            if sample.name.startswith("process_"):
                continue
            metric = known[sample.name]
            assert (family.type, set(sample.labels)) == (metric.kind.value, set(metric.labels))
            found[sample.name] = sample.value
    assert found[contract.RECORDS_UP.name] == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "unknown_path"),
        ("GET", "/../../etc/passwd", 404, "unknown_path"),
        ("GET", "/%2e%2e/%00", 404, "unknown_path"),
        ("POST", METRICS, 405, "method_refused"),
        ("GET", HOOK_DRIFT, 405, "method_refused"),
    ],
)
def test_what_is_not_there_is_a_problem_document(
    process: Running, method: str, path: str, status: int, code: str
) -> None:
    """For a program as for a person."""
    head, body = _raw(process, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "application/problem+json" in head
    assert f'"code":"{code}"' in body


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000, 400),
        (b"POST /hooks/drift HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n", 413),
        (b"POST /hooks/drift HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (
            b"POST /hooks/drift HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\nConnection: close\r\n\r\n{}",
            400,
        ),
    ],
)
def test_what_is_no_request_is_refused_and_the_next_is_answered(
    process: Running, sent: bytes, status: int
) -> None:
    """By a problem document."""
    head, body = _raw(process, sent)
    assert head.startswith("HTTP/1.1 4"), head
    if status == 413:
        assert head.startswith("HTTP/1.1 413 ")
    assert "application/problem+json" in head
    assert '"code":' in body
    assert process.get(LIVE).status_code == 200


def test_a_body_without_end_is_cut_off(process: Running) -> None:
    """In chunks, so that no length tells; what is sent to where nobody reads is not kept either."""
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    for path in (HOOK_DRIFT, LIVE):
        with socket.create_connection(_address(process), timeout=60) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head.encode())
            try:
                for _ in range(200):
                    connection.sendall(chunk)
            except ConnectionError:
                pass
    assert process.get(LIVE).status_code == 200


def test_a_hook_without_a_secret_takes_nothing(process: Running) -> None:
    """No key of a client is asked for in vain, and nothing is counted as accepted."""
    head, body = _raw(
        process,
        b"POST /hooks/drift HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    )
    assert head.startswith(("HTTP/1.1 4", "HTTP/1.1 503"))
    assert '"code":' in body
    assert 'outcome="accepted"' not in process.get(METRICS).text


def test_the_log_names_paths_and_no_queries(process: Running) -> None:
    """A key that someone put into an address is not kept."""
    process.get("/nowhere?key=slc_secret")
    line = process.wait_for("request", path="/nowhere")
    assert line["status"] == 404
    assert "slc_secret" not in process.text
    assert "Traceback" not in process.text


def _address(process: Running) -> tuple[str, int]:
    host, _, port = process.url().removeprefix("http://").rpartition(":")
    return host, int(port)


def _raw(process: Running, sent: bytes) -> tuple[str, str]:
    """Returns head and body of what comes back for these very bytes."""
    received = b""
    with socket.create_connection(_address(process), timeout=60) as connection:
        try:
            connection.sendall(sent)
            while piece := connection.recv(65536):
                received += piece
                head, _, body = received.partition(b"\r\n\r\n")
                if b"content-length: %d" % len(body) in head.lower():
                    break
        except ConnectionError:
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    return head.decode("latin-1"), body.decode()
