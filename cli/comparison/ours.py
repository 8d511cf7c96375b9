"""Sluice as it is measured: the gateway before transformer and Triton, these without it, the gateway alone.

Each gateway is a process of its own with keys, limits and records on, in a state folder of its own.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from cli.comparison.peers import KSERVE, ROOT
from cli.comparison.processes import started
from cli.comparison.systems import Running, Subject, System
from contracts.environments import HEADER, Environment
from contracts.gateway import PREDICT, READY, development_key_file
from contracts.headers import API_KEY
from contracts.routes import Route, route_file
from contracts.tensors import RAW, SPAM_DETECTOR
from kit.bundle import Bundle
from kit.files import write_text
from kit.home import Home
from records import migrate
from records.engine import opened
from records.settings import SQLITE, RecordsSettings
from serving import model_repository
from serving.model_repository import Layout
from serving.runtimes import triton as runtime
from serving.transformer import launch

VERSION: Final = "1"
_ENVIRONMENT: Final = Environment.STAGING
_START_SECONDS: Final = 180.0
_RATE: Final = "1000000/minute"
"""High enough to refuse nobody; every request is counted all the same."""
_GATED: Final = "keys, limits and records on"


GATEWAY: Final = System(
    name="Sluice",
    does=f"e-mail to answer in an environment, senders looked up, Triton; {_GATED}",
    settings="gateway, transformer and Triton, one process each, two of the model in Triton",
    path=PREDICT,
    body=lambda email: email,
    probability=lambda answer: float(json.loads(answer)["probability"]),
    senders=True,
    ours=True,
    gateway=True,
)
EMBEDDED: Final = replace(
    GATEWAY,
    name="Sluice, gateway alone",
    does=f"e-mail to answer in one process, senders unknown; {_GATED}",
    settings="the embedded backend, one process",
    senders=False,
)
TRANSFORMER: Final = replace(
    KSERVE,
    name="Sluice, no gateway",
    settings="the same transformer and Triton, asked directly",
    probability=lambda answer: float(
        next(one for one in json.loads(answer)["outputs"] if one["name"] == "probability")["data"][0]
    ),
    ours=True,
)


@dataclass(frozen=True)
class Servers:
    """Triton and a transformer before it."""

    triton: runtime.Triton
    transformer: int
    port: int
    route: Route


@contextlib.contextmanager
def servers(bundle: Bundle, subject: Subject) -> Iterator[Servers]:
    """Yields a Triton that serves `bundle`, and a transformer that is ready.

    Raises:
        TritonUnavailable: Triton cannot run here.
        NotStarted: the transformer did not start.
    """
    repository = subject.folder / "repository"
    model_repository.add_version(repository, bundle, VERSION, Layout.PYTHON)
    model_repository.write_config(repository, bundle.contract, [VERSION], Layout.PYTHON)
    with runtime.running(repository, {SPAM_DETECTOR: VERSION}) as triton:
        port = runtime.free_ports().http
        route = Route(
            model=SPAM_DETECTOR, environment=_ENVIRONMENT, version=VERSION, bundle=bundle.folder,
            bundle_digest=bundle.digest, triton_http=triton.http, triton_grpc=triton.grpc,
            url=f"http://127.0.0.1:{port}", transformer=True, since=datetime.now(UTC),
        )  # fmt: skip
        file = subject.folder / "route.json"
        write_text(file, route.model_dump_json())
        how = launch.command(file, port=port)
        environment = {**how.environment, "SLUICE_HOME": str(subject.root), "PYTHONPATH": str(ROOT)}
        log = subject.folder / "transformer.log"
        with started(
            how.arguments, environment, log, lambda: _ok(port, "/v2/health/ready"), seconds=_START_SECONDS
        ) as pid:
            yield Servers(triton, pid, port, route)


@contextlib.contextmanager
def gateways(
    subject: Subject, system: System, route: Route, environment: Mapping[str, str]
) -> Iterator[tuple[int, str, str]]:
    """Yields process id, host:port and a key of a gateway with records of its own.

    Raises:
        NotStarted: it did not start.
    """
    home = Home(_home(subject, system))
    write_text(route_file(home.serving, _ENVIRONMENT, SPAM_DETECTOR), route.model_dump_json())
    asyncio.run(_migrated(home.records))
    port = runtime.free_ports().http
    settings = {
        "PYTHONPATH": str(ROOT),
        "SLUICE_HOME": str(home.root),
        "GATEWAY_PORT": str(port),
        "GATEWAY_DEVELOPMENT": "true",
        "GATEWAY_RATE_LIMIT": _RATE,
        "GATEWAY_ENVIRONMENTS": json.dumps([_ENVIRONMENT.value]),
        **environment,
    }
    command = (sys.executable, "-m", "gateway")
    log = home.root / "gateway.log"
    with started(command, settings, log, lambda: _ok(port, READY), seconds=_START_SECONDS) as pid:
        key = development_key_file(home.root).read_text(encoding="utf-8").strip()
        yield pid, f"127.0.0.1:{port}", key


def direct(servers: Servers) -> Running:
    """Returns the transformer as it is asked without a gateway."""
    pids = (servers.transformer, servers.triton.pid)
    return Running(TRANSFORMER, f"127.0.0.1:{servers.port}", pids, servers.transformer)


def systems(running: contextlib.ExitStack, subject: Subject, servers: Servers) -> list[Running]:
    """Returns what is ours, started: the gateway before the servers, these alone, and the gateway alone.

    Raises:
        NotStarted: a gateway did not start.
    """
    behind = direct(servers)
    pid, host, key = running.enter_context(gateways(subject, GATEWAY, servers.route, {}))
    before = Running(_with(GATEWAY, key), host, (pid, *behind.pids), pid)
    environment = {"GATEWAY_BACKEND": "embedded"}
    pid, host, key = running.enter_context(gateways(subject, EMBEDDED, servers.route, environment))
    return [before, behind, Running(_with(EMBEDDED, key), host, (pid,), pid)]


def recorded(subject: Subject, running: Running) -> int:
    """Returns how many predictions a gateway has written; 0 of what remembers nothing."""
    import sqlite3

    if not running.system.gateway:
        return 0
    database = Home(_home(subject, running.system)).records
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM prediction_logs").fetchone()[0])


async def _migrated(database: Path) -> None:
    database.parent.mkdir(parents=True, exist_ok=True)
    async with opened(RecordsSettings.load(url=f"{SQLITE}:///{database}")) as memory:
        await migrate.upgrade(memory.engine)


def _with(system: System, key: str) -> System:
    headers = {API_KEY: key, HEADER: _ENVIRONMENT.value, "Content-Type": RAW}
    return replace(system, headers=lambda _email: headers)


def _home(subject: Subject, system: System) -> Path:
    return subject.folder / ("embedded" if system.name == EMBEDDED.name else "gateway")


def _ok(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).is_success
    except httpx.TransportError:
        return False
