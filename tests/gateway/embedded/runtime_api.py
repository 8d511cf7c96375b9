"""The API of a Lambda sandbox, as its runtime client asks it: events out, answers and errors in."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

_PREFIX = "/2018-06-01/runtime"
_DEADLINE_MS = "4102444800000"


class Came(NamedTuple):
    """What the function came to: an answer, or an error."""

    what: str
    """`response` or `error`, or `init/error`."""
    document: Any


class RuntimeApi:
    """Hands one event after the other to whoever asks next."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.events: queue.Queue[Any] = queue.Queue()
        self.came: queue.Queue[Came] = queue.Queue()
        self.ended = threading.Event()

    def asked(self, event: Any) -> Came:
        """Returns what the function makes of an event."""
        self.events.put(event)
        return self.came.get(timeout=120)


@contextmanager
def runtime_api() -> Iterator[RuntimeApi]:
    """Yields the API, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            assert self.path == f"{_PREFIX}/invocation/next"
            while not api.ended.is_set():
                try:
                    event = api.events.get(timeout=0.05)
                except queue.Empty:
                    continue
                heads = {
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Aws-Request-Id": "1-2-3",
                    "Lambda-Runtime-Deadline-Ms": _DEADLINE_MS,
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:f",
                }
                self._answer(200, json.dumps(event).encode(), heads)
                return
            self.close_connection = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(202, b"", {})
            what = self.path.removeprefix(f"{_PREFIX}/").removeprefix("invocation/1-2-3/")
            api.came.put(Came(what, json.loads(body)))

        def _answer(self, status: int, body: bytes, heads: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**heads, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_arguments: object) -> None:
            """Says nothing: at the end the function is killed while it asks."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api = RuntimeApi(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield api
    finally:
        api.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
