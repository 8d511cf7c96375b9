"""Traces, sent to a real collector's endpoint in the real form; and nothing of it where none is set."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from contracts import gateway as paths
from gateway.trace_context import child_of, parent_of
from tests.gateway.app.stand import standing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = PARENT[:-2] + "00"


class Collector(HTTPServer):
    """Takes what is exported, as an OpenTelemetry collector does at /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.spans: list[Any] = []


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        found = ExportTraceServiceRequest.FromString(body)
        assert self.path == "/v1/traces"
        assert isinstance(self.server, Collector)
        self.server.spans += [
            span
            for resource in found.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Is silent."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_each_traced_request_is_a_span(
    root: Path, embedded: dict[str, Any], collector: Collector
) -> None:
    """Below the caller's; who does not trace is not traced, and the rest by their share."""
    values = {**embedded, "otlp_endpoint": f"http://127.0.0.1:{collector.server_port}", "record": False}
    async with standing(root, **values, trace_share=1.0) as stand:
        await stand.predict(traceparent=PARENT, X_Request_Id="traced")
        await stand.predict(traceparent=UNSAMPLED, X_Request_Id="untraced")
        await stand.predict(X_Environment="prod", X_Request_Id="own")
    attributes = [
        {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
        for span in collector.spans
    ]
    names = [told["sluice.request_id"] for told in attributes]
    assert names == ["traced", "own"]
    first, second = collector.spans
    assert first.name == f"POST {paths.PREDICT}"
    assert first.trace_id.hex() == PARENT[3:35]
    assert first.parent_span_id.hex() == PARENT[36:52]
    assert attributes[0]["http.response.status_code"] == 200
    assert attributes[0]["sluice.environment"] == "staging"
    assert second.parent_span_id == b""
    assert (attributes[1]["http.response.status_code"], attributes[1]["error.type"]) == (
        400,
        "unknown_environment",
    )


async def test_a_share_of_nothing_traces_nobody_who_does_not(
    root: Path, embedded: dict[str, Any], collector: Collector
) -> None:
    """And a collector that is away costs no request."""
    values = {**embedded, "otlp_endpoint": f"http://127.0.0.1:{collector.server_port}", "record": False}
    async with standing(root, **values, trace_share=0.0) as stand:
        assert (await stand.predict()).status_code == 200
    assert collector.spans == []


def test_without_a_collector_nothing_of_it_is_imported(tmp_path: Path) -> None:
    """What records, batches and sends; the bare interface is FastAPI's own import."""
    code = (
        "import sys; from pathlib import Path; from gateway.assembly import assembled; "
        "from gateway.settings import GatewaySettings; from kit.home import Home; "
        "assembled(GatewaySettings(), Home(Path('.'))); "
        "print([name for name in sys.modules if name.startswith("
        "('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'opentelemetry.proto', 'gateway.tracing'))])"
    )
    done = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "header",
    ["", "00", PARENT.upper(), PARENT[:-1], "ff" + PARENT[2:], f"00-{'0' * 32}-b7ad6b7169203331-01",
     f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", PARENT + "x", PARENT.replace("a", "g")],
)  # fmt: skip
def test_a_traceparent_that_is_none_is_not_passed_on(header: str) -> None:
    """A trace of one's own begins instead."""
    assert parent_of(header) is None
    made = parent_of(str(child_of(None)))
    assert made is not None
    assert not made.sampled


def test_a_child_stays_in_its_trace() -> None:
    """With a span of its own and the caller's decision; a later version of the header is read too."""
    parent = parent_of("01" + PARENT[2:] + "-more")
    assert parent is not None
    child = child_of(parent)
    assert (child.trace_id, child.sampled) == (parent.trace_id, True)
    assert child.span_id != parent.span_id
    assert str(child).startswith("00-")
