"""The gateway as somebody meets it who means no good: a real process, asked byte by byte through sockets.

Behind it stands a server that notes what reaches it. What a key is not for must never be asked there,
whatever tricks the path or the headers play.
"""

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts import gateway as paths
from contracts.environments import Environment
from kit.api_keys import key_format, keys_file
from kit.api_keys.keys import with_created

pytestmark = pytest.mark.xdist_group("gateway-security")

PATIENCE_SECONDS = 60
ALLOWED_ORIGIN = "https://app.example.org"
INFER = "/v2/models/{}/infer"
TENSORS = json.dumps({"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}).encode()
OPEN_TO_ALL = {
    "/health", "/health/live", "/health/ready", "/ready", "/metrics", "/docs", "/redoc", "/openapi.json",
}  # fmt: skip
"""/metrics: to the networks that settings name, of which this machine is one."""


@dataclass
class Behind:
    """A server that stands for the models, and what it was asked."""

    port: int
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path and headers."""

    def inferred(self) -> list[str]:
        """The paths that were asked, but for the gateway's own probes, which come when they come."""
        return [path for _, path, _ in self.asked if not path.endswith("/ready")]


@dataclass
class Answer:
    """An answer as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only header of this name."""
        found = [value for each, value in self.headers if each == name]
        assert len(found) < 2, found
        return found[0] if found else None

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document."""
        assert self.header("content-type") == "application/problem+json", self
        return dict(json.loads(self.body))


@dataclass
class Victim:
    """The process under attack."""

    port: int
    behind: Behind
    keys: dict[str, str]
    log: Path

    def raw(self, data: bytes, *, address: str = "127.0.0.1") -> list[Answer]:
        """Sends bytes on a connection of its own, and returns all answers until the other side closes it."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS, (address, 0)) as connection:
            received = b""
            try:
                connection.sendall(data)
                while chunk := connection.recv(1 << 16):
                    received += chunk
            except (ConnectionResetError, BrokenPipeError):
                pass
        return _answers(received)

    def ask(
        self,
        method: str,
        path: str,
        *headers: tuple[str, str | bytes],
        body: bytes = b"",
        key: str | None = None,
        address: str = "127.0.0.1",
    ) -> Answer:
        """Sends one request, with the key of that name, and returns its answer."""
        sent = [("Host", "gateway"), ("Connection", "close"), *headers]
        if key is not None:
            sent.append(("X-API-Key", self.keys[key]))
        if body:
            sent += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        head = b"".join(
            name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
            for name, value in sent
        )
        found = self.raw(f"{method} {path} HTTP/1.1\r\n".encode() + head + b"\r\n" + body, address=address)
        assert len(found) == 1, found
        return found[0]


def _answers(received: bytes) -> list[Answer]:
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = [
            (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
        ]
        length = int(dict(headers)["content-length"])
        found.append(Answer(int(status.split()[1]), headers, rest[:length]))
        received = rest[length:]
    return found


@pytest.fixture(scope="module")
def behind() -> Iterator[Behind]:
    """A server that knows no model, and notes what it is asked."""

    class Noting(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            noted.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            ready = self.path == "/v2/health/ready"
            body = b"{}" if ready else b'{"error": "hunter2: no such model"}'
            self.send_response(200 if ready else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the names are http.server's

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Noting)
    noted = Behind(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield noted
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory, behind: Behind) -> Iterator[Victim]:
    """A gateway in front of it, with a key of each kind."""
    home = tmp_path_factory.mktemp("home")
    both = tuple(Environment)
    scopes: dict[str, dict[str, Any]] = {
        "whole": {"environments": both},
        "staging": {"environments": (Environment.STAGING,)},
        "iris": {"environments": both, "models": ("iris",)},
        "admin": {"environments": (), "admin": True},
    }
    made = {name: _made(home, name, scope) for name, scope in scopes.items()}
    url = f"http://127.0.0.1:{behind.port}"
    log = home / "gateway.log"
    environment = {
        **os.environ,
        "SLUICE_HOME": str(home),
        "GATEWAY_PORT": "0",
        "GATEWAY_RECORD": "false",
        "GATEWAY_DRAIN_SECONDS": "1",
        "GATEWAY_ATTEMPTS_PER_MINUTE": "1000",
        "GATEWAY_CORS_ORIGINS": json.dumps([ALLOWED_ORIGIN]),
        "GATEWAY_DIRECT_MODELS": json.dumps(["iris", "wine"]),
        "GATEWAY_UPSTREAMS": json.dumps({each.value: {"iris": url, "wine": url} for each in both}),
    }
    with log.open("wb") as stream:
        process = subprocess.Popen((sys.executable, "-m", "gateway"), env=environment, stderr=stream)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (told := re.search(r"http://127\.0\.0\.1:(\d+)\"", log.read_text(encoding="utf-8"))) is None:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Victim(int(told[1]), behind, made, log)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _made(home: Path, name: str, scope: dict[str, Any]) -> str:
    _, text = keys_file.change(
        paths.keys_file(home), lambda former: with_created(former, name=name, now=datetime.now(UTC), **scope)
    )
    return text


@pytest.fixture(autouse=True)
def nothing_reached(behind: Behind) -> None:
    """Each test sees what it caused, and not what came before."""
    behind.asked.clear()


def test_without_a_key_no_route_of_the_document_is_open(victim: Victim) -> None:
    """But for health, metrics and documentation; a route that is added is tried too."""
    document = json.loads(victim.ask("GET", "/openapi.json").body)
    tried = 0
    for path, methods in document["paths"].items():
        filled = re.sub(r"\{[^}]+\}", "iris", path)
        if path in OPEN_TO_ALL:
            continue
        for method in methods:
            body = TENSORS if method == "post" else b""
            answer = victim.ask(method.upper(), filled, body=body)
            assert answer.status == 401, (method, path, answer.body)
            assert (answer.header("www-authenticate") or "").startswith("Bearer")
            assert answer.problem["code"] == "key_missing"
            tried += 1
    assert tried >= 10
    assert victim.behind.inferred() == []


@pytest.mark.parametrize(
    "path", ["/metrics/", "/Metrics", "/admin", "/..", "/v1/../metrics", "/%2e%2e/metrics"]
)
def test_names_like_those_of_open_pages_open_nothing(victim: Victim, path: str) -> None:
    """They are no paths at all."""
    assert victim.ask("GET", path, ("X-Forwarded-For", "192.0.2.1")).status == 404


def test_metrics_through_a_proxy_are_for_admins(victim: Victim) -> None:
    """401 and 403 are told apart."""
    proxied = ("X-Forwarded-For", "127.0.0.1")
    assert victim.ask("GET", "/metrics", proxied).status == 401
    assert victim.ask("GET", "/metrics", proxied, key="whole").status == 403
    assert victim.ask("GET", "/metrics", proxied, key="admin").status == 200


@pytest.mark.parametrize(
    "value",
    ["x", "Bearer", "' OR 1=1 --", "../../etc/passwd", b"\xff\xfe\xc3\x28", "é" * 100, "A" * 40_000, "{}"],
)
def test_wrong_keys_are_refused_and_not_shown(victim: Victim, value: str | bytes) -> None:
    """In either header."""
    for header in (("X-API-Key", value), ("Authorization", value)):
        answer = victim.ask("GET", "/v1/models", header)
        assert answer.status == 401
        assert len(answer.body) < 1000


def test_a_key_of_one_environment_opens_no_other(victim: Victim) -> None:
    """By header, by its absence where the default is another one, and on every surface."""
    production = ("X-Environment", "production")
    for method, path, body in (
        ("POST", INFER.format("iris"), TENSORS),
        ("GET", "/v2/models/iris", b""),
        ("GET", "/v2/models/iris/ready", b""),
        ("POST", "/v1/predict", b'{"raw": "x"}'),
        ("POST", "/v1/predict/batch", b'{"emails": [{"raw": "x"}]}'),
        ("GET", "/v1/models", b""),
        ("GET", "/v2", b""),
    ):
        answer = victim.ask(method, path, production, body=body, key="staging")
        assert (answer.status, answer.problem["code"]) == (403, "scope_missing"), path
    assert victim.behind.inferred() == []
    assert victim.ask("GET", "/v2/models/iris", key="staging").status != 403
    assert victim.behind.inferred() != []
    listed = json.loads(victim.ask("GET", "/v1/models", key="staging").body)["models"]
    assert {each["environment"] for each in listed} == {"staging"}


def test_an_admin_key_without_an_environment_asks_no_model(victim: Victim) -> None:
    """Admin is a scope of its own."""
    assert victim.ask("POST", INFER.format("iris"), body=TENSORS, key="admin").status == 403
    assert victim.ask("POST", "/v1/predict", body=b'{"raw": "x"}', key="admin").status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/wine/infer",
        "/v2/models/wine/versions/1/infer",
        "/v2/models/iris/../wine/infer",
        "/v2/models/iris/..%2fwine/infer",
        "/v2/models/iris%2f..%2fwine/infer",
        "/v2/models/iris/%2e%2e/wine/infer",
        "/v2/models/iris/%2e%2e%2fwine%2finfer",
        "/v2/models//wine/infer",
        "/v2//models/wine/infer",
        "//v2/models/wine/infer",
        "/v2/models/./wine/infer",
        "/v2/models/iris/versions/../../wine/infer",
        "/v2/models/iris/versions/..%2f..%2fwine/infer",
        "/v2/models/iris/versions/1%2f..%2f..%2f..%2fwine/infer",
        "/v2/models/wine%2finfer",
        "/v2/models/iris;/../wine/infer",
        "/v2/models/iris%00/infer",
        "/v2/models/wine%20/infer",
        "/v2/models/WINE/infer",
        "/v2/models/w%69ne/infer",
        "/v2/models/%77ine/infer",
        "/v2/models/iris%0d%0aX-Evil:1/infer",
        "/v2/models/iris\\..\\wine/infer",
        "/v2/models/iris%5c..%5cwine/infer",
        "/v2/models/iris%252f..%252fwine/infer",
        "/v2/models/iris/infer/../../wine/infer",
        "/v2/models/iris/infer%3f/../../wine/infer",
        "/v2/repository/models/wine/load",
        "/v2/repository/index",
        "http://127.0.0.1:1/v2/models/wine/infer",
        "/v2/models/iris@wine/infer",
        "/v2/models/%e2%80%a5/wine/infer",
    ],
)
def test_no_trick_of_the_path_brings_a_limited_key_to_another_model(victim: Victim, path: str) -> None:
    """It is refused, or it is a path of its own model; nothing else ever reaches a server."""
    for method, body in (("POST", TENSORS), ("GET", b"")):
        answer = victim.ask(method, path, body=body, key="iris")
        assert answer.status in {400, 403, 404, 405}, answer
        assert b"hunter2" not in answer.body
    assert victim.behind.inferred() == []


def test_the_same_key_reaches_its_own_model(victim: Victim) -> None:
    """So the test before refuses for the right reason."""
    victim.ask("GET", "/v2/models/iris", key="iris")
    victim.ask("GET", "/v2/models/%69ris", key="iris")
    reached = victim.behind.inferred()
    assert reached
    assert all(path.startswith("/v2/models/iris") for path in reached)


def test_a_limited_key_is_not_told_of_other_models(victim: Victim) -> None:
    """Neither by the list, nor by another answer for a model that is there than for one that is not."""
    listed = json.loads(victim.ask("GET", "/v1/models", key="iris").body)["models"]
    assert {each["model"] for each in listed} == {"iris"}
    there, not_there = (
        victim.ask("GET", f"/v2/models/{name}", key="iris") for name in ("wine", "no-such-model")
    )
    assert (there.status, there.problem["detail"]) == (not_there.status, not_there.problem["detail"])


@pytest.mark.parametrize(
    "value",
    [
        b"a b",
        b"a\tb",
        b"\xff\xfe",
        "é",
        "a" * 101,
        "a" * 50_000,
        "../../x",
        "<script>",
        "a~shadow",
        "${jndi:x}",
        '"',
        "",
    ],
)
def test_a_request_id_that_could_harm_a_log_or_a_name_is_replaced(victim: Victim, value: str | bytes) -> None:
    """In the answer, and on the way to the server behind."""
    answer = victim.ask("GET", "/v2/models/iris", ("X-Request-Id", value), key="whole")
    given = answer.header("x-request-id") or ""
    assert re.fullmatch(r"[0-9a-f]{32}", given)
    told = [headers for _, path, headers in victim.behind.asked if not path.endswith("/ready")]
    assert [each["x-request-id"] for each in told] == [given] * len(told)
    assert told


@pytest.mark.parametrize(
    "evil", [b"a\nX-Evil: 1", b"a\rX-Evil: 1", b"a\x00b", b"a\x0bb\x1b[31m", b"a\r\n X-Evil: 1"]
)
@pytest.mark.parametrize("name", ["X-Request-Id", "X-Environment", "traceparent"])
def test_no_header_becomes_another_one(victim: Victim, name: str, evil: bytes) -> None:
    """Neither in the answer, nor on the way to the server behind."""
    head = b"GET /v2/models/iris HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nX-API-Key: "
    head += victim.keys["whole"].encode() + b"\r\n" + name.encode() + b": " + evil + b"\r\n\r\n"
    for answer in victim.raw(head):
        assert "x-evil" not in dict(answer.headers)
        assert b"\x1b" not in answer.body
        assert "\x1b" not in str(answer.headers)
    assert all("x-evil" not in headers for _, _, headers in victim.behind.asked)


@pytest.mark.parametrize(
    "value",
    ["prod", "Production", "production ", "production,staging", "../production", "", "test", "\t", "*", "é",
     "\uff30roduction", "production;", "a" * 30_000],
)  # fmt: skip
def test_an_environment_is_one_of_them_or_refused(victim: Victim, value: str) -> None:
    """White space at the ends is the protocol's to take away; nothing else is guessed."""
    answer = victim.ask("GET", "/v2/models/iris", ("X-Environment", value), key="staging")
    expected = (403, "scope_missing") if value == "production " else (400, "unknown_environment")
    assert (answer.status, answer.problem["code"]) == expected
    assert victim.behind.inferred() == []


@pytest.mark.parametrize(
    "value",
    ["x", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff-" + "a" * 32 + "-" + "b" * 16 + "-01", "a" * 30_000,
     "00-" + "A" * 32 + "-" + "b" * 16 + "-01", "00-" + "a" * 32 + "-" + "b" * 16 + "-01-" + "x" * 1000, "é",
     ""],
)  # fmt: skip
def test_only_a_well_formed_traceparent_is_passed_on(victim: Victim, value: str) -> None:
    """Whatever came."""
    victim.ask("GET", "/v2/models/iris", ("traceparent", value), key="whole")
    told = [headers["traceparent"] for _, path, headers in victim.behind.asked if not path.endswith("/ready")]
    assert told
    assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", each) for each in told)


def test_neither_key_nor_cookie_nor_forwarded_address_reaches_the_server_behind(victim: Victim) -> None:
    """Only what the protocol needs is passed on."""
    victim.ask(
        "POST", INFER.format("iris"), ("Cookie", "session=hunter2"), ("X-Forwarded-For", "192.0.2.1"),
        ("X-Evil", "hunter2"), ("Authorization", f"Bearer {victim.keys['whole']}"), body=TENSORS, key="whole",
    )  # fmt: skip
    assert victim.behind.asked
    for _, _, headers in victim.behind.asked:
        assert not headers.keys() & {"x-api-key", "authorization", "cookie", "x-forwarded-for", "x-evil"}


@pytest.mark.parametrize(
    "name", ["X-API-Key", "Authorization", "X-Environment", "Content-Type", "X-Request-Timeout-Ms"]
)
def test_a_header_that_says_one_thing_is_not_given_twice(victim: Victim, name: str) -> None:
    """Nobody guesses which one is meant, not even if both say the same."""
    values = {
        "X-API-Key": victim.keys["whole"],
        "Authorization": f"Bearer {victim.keys['whole']}",
        "X-Environment": "staging",
        "Content-Type": "application/json",
        "X-Request-Timeout-Ms": "1000",
    }
    key = None if name in {"X-API-Key", "Authorization"} else "whole"
    answer = victim.ask("GET", "/v2/models/iris", (name, values[name]), (name, values[name]), key=key)
    assert answer.status == 400
    assert victim.behind.inferred() == []


def test_two_keys_in_two_headers_are_refused(victim: Victim) -> None:
    """The better one does not win."""
    bearer = ("Authorization", f"Bearer {victim.keys['admin']}")
    assert victim.ask("GET", "/v1/models", bearer, key="iris").status == 401


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"a" * 200_000 + b"\r\n",
        b"".join(b"X-%d: a\r\n" % number for number in range(20_000)),
        b"a" * 200_000 + b": x\r\n",
        b"X: a\r\n" * 20_000,
    ],
)
def test_a_head_without_end_ends_its_connection_and_nothing_else(victim: Victim, head: bytes) -> None:
    """The next client is served."""
    found = victim.raw(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"\r\n")
    assert all(400 <= answer.status < 500 for answer in found)
    assert victim.ask("GET", "/health/live").status == 200


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nContent-Length: 30\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: 0x4\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length : 4\r\n",
        b"Content-Length: 99999999999999999999\r\n",
    ],
)
def test_no_second_request_hides_in_a_body(victim: Victim, framing: bytes) -> None:
    """What does not say clearly where it ends is refused, and what follows is not read as a request."""
    hidden = (
        b"GET /v2/models/wine HTTP/1.1\r\nHost: x\r\nX-API-Key: "
        + victim.keys["whole"].encode()
        + b"\r\n\r\n"
    )
    sent = b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nX-API-Key: " + victim.keys["iris"].encode()
    sent += b"\r\nContent-Type: application/json\r\n" + framing + b"\r\n0\r\n\r\n" + hidden
    found = victim.raw(sent)
    assert len(found) <= 1
    assert all(400 <= answer.status < 500 for answer in found)
    assert victim.behind.inferred() == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"])
def test_other_methods_are_refused(victim: Victim, method: str) -> None:
    """None of them reaches a server or shows what was sent."""
    answer = victim.ask(method, INFER.format("iris"), ("X-Secret", "hunter2"), key="whole")
    assert 400 <= answer.status < 500
    assert b"hunter2" not in answer.body
    assert victim.behind.inferred() == []


def test_the_words_of_the_server_behind_do_not_reach_a_client(victim: Victim) -> None:
    """Nor its address."""
    answer = victim.ask("POST", INFER.format("iris"), body=TENSORS, key="whole")
    assert answer.status >= 400
    assert b"hunter2" not in answer.body
    assert str(victim.behind.port).encode() not in answer.body


def test_a_page_of_an_allowed_origin_may_read_answers(victim: Victim) -> None:
    """Without cookies."""
    origin = ("Origin", ALLOWED_ORIGIN)
    answer = victim.ask("GET", "/v1/models", origin, key="whole")
    assert answer.header("access-control-allow-origin") == ALLOWED_ORIGIN
    assert "origin" in (answer.header("vary") or "").lower()
    preflight = victim.ask(
        "OPTIONS", "/v1/predict", origin, ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-api-key, x-environment"),
    )  # fmt: skip
    assert preflight.status == 200
    assert preflight.header("access-control-allow-origin") == ALLOWED_ORIGIN
    for each in (answer, preflight):
        assert each.header("access-control-allow-credentials") is None


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://app.example.org", "https://app.example.org.evil.example", "null", "*",
     "https://app.example.org:8443", "https://xapp.example.org", "HTTPS://APP.EXAMPLE.ORG", "file://"],
)  # fmt: skip
def test_a_page_of_another_origin_may_not(victim: Victim, origin: str) -> None:
    """Neither read an answer, nor send more than a form could."""
    answer = victim.ask("GET", "/v1/models", ("Origin", origin), key="whole")
    assert answer.header("access-control-allow-origin") is None
    preflight = victim.ask(
        "OPTIONS", "/v1/predict", ("Origin", origin), ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-api-key"),
    )  # fmt: skip
    assert preflight.status == 400
    assert preflight.header("access-control-allow-origin") is None


def test_an_error_is_readable_for_an_allowed_origin_too(victim: Victim) -> None:
    """Else a page cannot tell its user what is wrong."""
    answer = victim.ask("GET", "/v1/models", ("Origin", ALLOWED_ORIGIN))
    assert answer.status == 401
    assert answer.header("access-control-allow-origin") == ALLOWED_ORIGIN


def test_every_answer_tells_browsers_to_be_careful(victim: Victim) -> None:
    """Errors too."""
    for path in ("/health/live", "/v1/models", "/nowhere", "/docs"):
        answer = victim.ask("GET", path)
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("x-frame-options") == "DENY"
        assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")
        assert answer.header("server") is None


def test_a_forwarded_address_of_a_stranger_hides_no_attempts(victim: Victim) -> None:
    """Who is no trusted proxy is counted by its own address; a right key is let in even then."""
    statuses = [
        victim.ask(
            "GET", "/v1/models", ("X-API-Key", "wrong"), ("X-Forwarded-For", f"192.0.2.{number % 250}"),
            address="127.0.0.9",
        ).status
        for number in range(1001)
    ]  # fmt: skip
    assert statuses == [401] * 1000 + [429]
    assert victim.ask("GET", "/v1/models", key="whole", address="127.0.0.9").status == 200
    assert victim.ask("GET", "/v1/models", ("X-API-Key", "wrong"), address="127.0.0.8").status == 401


def test_the_log_of_all_this_holds_no_key_and_no_line_that_was_smuggled_in(victim: Victim) -> None:
    """Every line is one document, and its request ids are well formed."""
    victim.ask("GET", "/v1/models", ("X-API-Key", key_format.new_key("0123456789")))
    text = victim.log.read_text(encoding="utf-8")
    for key in victim.keys.values():
        assert key.split("_")[2] not in text
    assert "hunter2" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) > 10
    assert all(re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", line.get("request_id", "x")) for line in lines)
    assert [line for line in lines if line.get("level") == "error"] == []
