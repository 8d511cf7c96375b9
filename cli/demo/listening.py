"""The demo's own receiver of webhooks: an independent program would verify a message just so."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

_LONGEST: Final = 1 << 20


class Received(NamedTuple):
    """One message as it came."""

    valid: bool
    """Whether the signature is that of the secret, and the time is near."""
    event: dict[str, Any]


class Listener:
    """What came, in order; `url` is where to send."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.came: queue.Queue[Received] = queue.Queue()

    def next(self, seconds: float) -> Received | None:
        """Returns the next message; None if none came in time."""
        try:
            return self.came.get(timeout=seconds)
        except queue.Empty:
            return None


@contextmanager
def listening(secret: str) -> Iterator[Listener]:
    """Listens on a free port of this machine while the block runs; `secret` is the channel's."""
    verifier = Webhook(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Takes a message, and says whether it is believed."""
            body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), _LONGEST))
            try:
                received = Received(True, verifier.verify(body, dict(self.headers)))
            except (WebhookVerificationError, ValueError):
                received = Received(False, {})
            listener.came.put(received)
            self.send_response(204 if received.valid else 400)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Says nothing: the demo tells what came."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener = Listener(f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
