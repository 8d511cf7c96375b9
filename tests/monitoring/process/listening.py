"""A channel for tests: a real HTTP server in a thread, which keeps what it was sent and says 200."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener:
    """Where messages arrive."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.received: list[bytes] = []

    def variables(self) -> dict[str, str]:
        """Returns the settings that name it as a channel."""
        channel = {"name": "on-call", "format": "slack", "url": f"http://127.0.0.1:{self.port}/hook"}
        return {
            "MONITORING_CHANNELS": json.dumps([channel]),
            "MONITORING_EGRESS_ALLOWED": json.dumps(["127.0.0.1/32"]),
        }


@contextmanager
def listening() -> Iterator[Listener]:
    """Yields a server that listens."""
    kept: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Keeps quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found = Listener(server.server_port)
    found.received = kept
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
