"""Small mails, small folders and a real HTTP server for the tests of the corpus."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from feature_repo.settings import FeatureRepoSettings
from training.corpus.duplicates import Clusters, clusters_of
from training.settings import TrainingSettings

Mail = Callable[..., bytes]


@pytest.fixture
def settings() -> TrainingSettings:
    """Limits small enough to be crossed by a test."""
    return TrainingSettings(
        message_max_bytes=4096, unpacked_max_bytes=200_000, download_max_bytes=1_000_000, download_attempts=2
    )


@pytest.fixture
def mail() -> Mail:
    """Makes one message; all of it is decided by its arguments."""

    def make(
        body: str = "Hello there", sender: str = "ann@example.org", subject: str = "Hi", day: int = 1
    ) -> bytes:
        date = f"{day:02} Oct 2002 10:00:00 +0200"
        return f"From: {sender}\nSubject: {subject}\nDate: {date}\n\n{body}\n".encode()

    return make


@pytest.fixture
def mail_folder(tmp_path: Path, mail: Mail) -> Path:
    """A folder with three spam and five ham messages, in folders that say so."""
    root = tmp_path / "mail"
    for name, count in (("spam-1", 3), ("easy_ham", 5)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number}.eml").write_bytes(mail(body=f"{name} number {number}", day=number + 1))
    return root


@pytest.fixture(scope="session")
def corpus_clusters(corpus: pa.Table, corpus_path: Path) -> Clusters:
    """The clusters of the reference corpus, by the real code and kept beside it."""
    return clusters_of(corpus, corpus_path, FeatureRepoSettings())


class Site:
    """A real server on 127.0.0.1 whose one file can be cut, stalled, changed and counted."""

    def __init__(self) -> None:
        self.body = b""
        self.etag: str | None = '"one"'
        self.cut_after: int | None = None
        self.stall_after: int | None = None
        self.statuses: list[int] = []
        self.with_length = True
        self.requests: list[dict[str, str]] = []
        self.stalled = threading.Event()
        self.released = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_arguments: Any) -> None:
                """Keeps the test output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def url(self, name: str = "mail.csv") -> str:
        """Returns the address of the file under `name`."""
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answers one request as the fields of this site say."""
        headers = dict(request.headers.items())
        self.requests.append(headers)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            request.send_response(status)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if self.etag is not None and headers.get("If-None-Match") == self.etag:
            request.send_response(304)
            request.end_headers()
            return
        start = self._start(headers)
        body = self.body[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        if self.with_length:
            request.send_header("Content-Length", str(len(body)))
        if self.etag is not None:
            request.send_header("ETag", self.etag)
        request.end_headers()
        request.wfile.write(body[: self._pause(start, len(body))])
        if self.stall_after is not None:
            request.wfile.flush()
            self.stalled.set()
            self.released.wait(30)

    def _start(self, headers: dict[str, str]) -> int:
        asked = headers.get("Range", "")
        if not asked or headers.get("If-Range", self.etag) != self.etag:
            return 0
        return int(asked.removeprefix("bytes=").rstrip("-"))

    def _pause(self, start: int, length: int) -> int:
        limits = [limit - start for limit in (self.cut_after, self.stall_after) if limit is not None]
        return max(0, min([length, *limits]))


@pytest.fixture
def site() -> Iterator[Site]:
    """The server, running; it is stopped after the test."""
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.released.set()
    made.server.shutdown()
    made.server.server_close()
    thread.join()
