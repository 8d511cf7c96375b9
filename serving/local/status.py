"""`sluice status`: what should run, what does, and what to do where the two differ."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import psutil

from contracts import monitoring
from contracts.environments import Environment
from contracts.gateway import LIVE
from contracts.routes import Route
from kit.errors import SluiceError
from kit.home import Home
from records import model_registry
from records.model_registry import TRACKING_URI
from serving.local import door as doors
from serving.local import probes, programs, routing
from serving.local.stack import Stack
from serving.local.state import LOOPBACK
from serving.local.supervisor import Process
from serving.promotion.journal import journals
from serving.settings import ServingSettings
from serving.triton_control import TritonControl, TritonUnreachable

_PROBE_SECONDS: Final = 3
_HEALTH: Final = {
    programs.MLFLOW: "/health",
    programs.GATEWAY: LIVE,
    programs.MONITORING: monitoring.READY,
}
_WORDS: Final = {"BACKOFF": "restarting", "FATAL": "given up", "EXITED": "ended", "STOPPED": "stopped"}


@dataclass(frozen=True)
class ProcessStatus:
    """One process that should run."""

    name: str
    state: str
    """`ready`, `not ready`, `restarting`, `given up`, `ended`, `stopped` or `stopping`."""
    pid: int | None
    since: datetime | None
    memory_bytes: int
    """Resident, together with the processes that it started."""
    restarts: int
    """How often it ended by itself."""
    addresses: dict[str, str]
    """host:port by use."""


@dataclass(frozen=True)
class ModelStatus:
    """One model in one environment."""

    environment: Environment
    model: str
    served: str | None
    """The version that answers, or None."""
    alias: str | None
    """The version that the registry's alias points at."""
    url: str | None
    transformer: bool
    ready: bool


@dataclass(frozen=True)
class GatewayStatus:
    """The gateway, where it should run."""

    url: str
    docs: str
    environments: dict[str, bool]
    """Whether it answers for an environment; empty if it does not answer at all."""


@dataclass(frozen=True)
class MonitoringStatus:
    """The monitoring process, where it should run."""

    url: str
    console: str
    """The pages for people; an admin key signs in, such as the development key."""


@dataclass
class Status:
    """Everything that is to be told."""

    since: datetime | None
    """When `sluice up` started the process manager, or None when nothing should run."""
    models: list[ModelStatus] = field(default_factory=list)
    processes: list[ProcessStatus] = field(default_factory=list)
    gateway: GatewayStatus | None = None
    monitoring: MonitoringStatus | None = None
    problems: list[str] = field(default_factory=list)
    """What does not run and should, each with the command to run."""
    notes: list[str] = field(default_factory=list)
    """What is worth knowing and no failure."""

    def as_json(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return asdict(self)


def status(home: Home) -> Status:
    """Returns what runs on this machine, and what should.

    Raises:
        SupervisorFailed: the process manager is there and does not answer.
        SettingsError: a setting is wrong.
    """
    stack = Stack(home, ServingSettings.load())
    state = stack.state()
    found = Status(since=state.since)
    running = stack.running()
    if not running and state.pid is None:
        found.notes.append("Nothing runs here. Start it: sluice up")
    elif not running:
        found.problems.append("The process manager is gone, and nothing watches what it started: sluice up")
    _add_processes(found, stack)
    _add_models(found, home, state.environments if running else ())
    _add_gateway(found, home)
    _add_monitoring(found)
    for journal in journals(home):
        if journal.path.exists():
            found.notes.append(
                f"A move of {journal.model} in {journal.environment} is under way or broke off. "
                "If nobody is at it: sluice up"
            )
    return found


def _add_processes(found: Status, stack: Stack) -> None:
    state = stack.state()
    restarts = stack.restarts()
    for process in stack.processes():
        ports = state.ports.get(process.name, {})
        addresses = {use: f"{LOOPBACK}:{port}" for use, port in ports.items()}
        told = _told(process, addresses)
        found.processes.append(
            ProcessStatus(
                name=process.name,
                state=told,
                pid=process.pid,
                since=process.since,
                memory_bytes=_memory(process.pid),
                restarts=restarts.get(process.name, 0),
                addresses=addresses,
            )
        )
        if told != "ready":
            why = f" ({process.told})" if process.told else ""
            found.problems.append(
                f"{process.name} is {told}{why}: sluice logs {process.name}, then sluice up"
            )


def _add_models(found: Status, home: Home, wanted: Sequence[Environment]) -> None:
    routes = {(route.environment, route.model): route for route in routing.routes(home)}
    try:
        aliases = _aliases(home)
    except SluiceError as error:
        aliases = {}
        found.notes.append(f"What should serve is not known: {error.message}")
    for environment, model in sorted({*routes, *aliases}):
        route, alias = routes.get((environment, model)), aliases.get((environment, model))
        model_status = _model(environment, model, route, alias, running=environment in wanted)
        found.models.append(model_status)
        if environment not in wanted:
            continue
        if model_status.served != alias:
            served = f"version {model_status.served}" if model_status.served else "no version"
            pointed = f"version {alias}" if alias else "none"
            found.problems.append(
                f"{model} in {environment}: {served} answers, and the alias points at {pointed}. "
                "To follow the alias: sluice up"
            )
        elif not model_status.ready:
            found.problems.append(f"{model} in {environment} does not answer: sluice up")


def _add_gateway(found: Status, home: Home) -> None:
    runs = any(process.name == programs.GATEWAY for process in found.processes)
    at = doors.door(home) if runs else None
    if at is None:
        return
    told = doors.readiness(at.url)
    found.gateway = GatewayStatus(at.url, at.docs, told.environments if told else {})
    if told is None:
        return  # That it does not answer stands with its process.
    for environment in sorted({each.environment for each in found.models if each.ready}):
        if not told.environments.get(environment, True):
            found.problems.append(
                f"The gateway does not answer for {environment}, where a model serves: sluice logs gateway"
            )
    if all(told.environments.values()) and told.reason:
        found.notes.append(f"The gateway says: {told.reason}")


def _add_monitoring(found: Status) -> None:
    for process in found.processes:
        if process.name == programs.MONITORING and "http" in process.addresses:
            url = f"http://{process.addresses['http']}"
            found.monitoring = MonitoringStatus(url, url + monitoring.CONSOLE)


def _model(
    environment: Environment, model: str, route: Route | None, alias: str | None, *, running: bool
) -> ModelStatus:
    served, ready = None, False
    if route is not None and running:
        if route.transformer:
            reported = routing.reported(route.url)
            served = reported.version if reported else None
        else:
            served = route.version
        ready = served is not None and _ready(route, served)
    return ModelStatus(
        environment=environment,
        model=model,
        served=served,
        alias=alias,
        url=route.url if route and running else None,
        transformer=bool(route and route.transformer),
        ready=ready,
    )


def _aliases(home: Home) -> dict[tuple[Environment, str], str]:
    if TRACKING_URI not in os.environ and not (home.root / "mlflow.db").exists():
        return {}  # To ask would make one.
    registry = model_registry.opened(home)
    return {
        (environment, name): pointed.version
        for name in registry.names()
        for environment in Environment
        if (pointed := registry.pointed(name, environment)) is not None
    }


def _ready(route: Route, version: str) -> bool:
    try:
        asking = probes.client(_PROBE_SECONDS, base=f"http://{route.triton_http}")
        with TritonControl(route.triton_http, client=asking) as control:
            return control.model_ready(route.model, version)
    except TritonUnreachable:
        return False


def _told(process: Process, addresses: dict[str, str]) -> str:
    if not process.runs:
        return _WORDS.get(process.state, process.state.lower())
    path = _HEALTH.get(process.name, "/v2/health/ready")
    if "http" not in addresses:
        return "not ready"
    answer = probes.answer(f"http://{addresses['http']}{path}", _PROBE_SECONDS)
    return "ready" if answer is not None and answer.is_success else "not ready"


def _memory(pid: int | None) -> int:
    if pid is None:
        return 0
    total = 0
    try:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return total
    return total


def uptime(since: datetime | None) -> str:
    """Returns the time since then in words."""
    if since is None:
        return ""
    seconds = int((datetime.now(UTC) - since).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"
