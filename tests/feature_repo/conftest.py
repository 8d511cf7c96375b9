"""Sender stores to test on: one home each, on SQLite and on a real Redis from a wheel."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kit.home import Home

if TYPE_CHECKING:
    from feature_repo.store import SenderStore

MakeStore = Callable[..., "SenderStore"]
Dying = Callable[[Path, Iterable[str]], dict[str, list[int]]]


@pytest.fixture(scope="session")
def dying() -> Iterator[Dying]:
    """Runs scenarios of `dying.py` in homes below a folder, and returns how they ended."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.feature_repo.dying"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:

        def run(folder: Path, names: Iterable[str]) -> dict[str, list[int]]:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(json.dumps([str(folder), *names]) + "\n")
            program.stdin.flush()
            ended: dict[str, list[int]] = json.loads(next(text for text in program.stdout if text[0] == "{"))
            return ended

        try:
            yield run
        finally:
            program.kill()


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a Redis of this test process, stopped at its end."""
    from feature_repo.redis_server import redis_server

    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


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
