"""The processes of one SLUICE_HOME: started in the order in which they depend on each other, and all ended.

Each method returns what it is asked for and starts it if need be; asked again, it returns at once. Ports stay
the same for as long as they can be had. Errors::

    OperationalError
    ├── StackDown       503  nothing runs, and somebody has to start it first
    └── ProgramFailed   503  a program does not come up; the end of its log is told
"""

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final, NamedTuple

import httpx
import structlog

from contracts import monitoring as monitoring_paths
from contracts.environments import Environment
from contracts.gateway import LIVE, address_file
from contracts.routes import FOLDER as ROUTES
from kit.errors import OperationalError
from kit.files import locked, write_text
from kit.home import Home
from serving.local import configuration, leftovers, logs, probes, programs, state
from serving.local.state import LOOPBACK, Program, State
from serving.local.supervisor import Process, Supervisor
from serving.settings import ServingSettings

_LOCK: Final = ".programs.lock"
_LOCK_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.05
_FAILED_STARTS: Final = 3
"""A program that ended so often while somebody waited for it is not waited for any longer."""

log: Final = structlog.get_logger(__name__)


class StackDown(OperationalError):
    """Nothing runs for this SLUICE_HOME."""

    code = "stack_down"
    title = "Nothing serves on this machine"


class ProgramFailed(OperationalError):
    """A program ended, or was not ready in time."""

    code = "program_failed"
    title = "A program did not come up"


class Addresses(NamedTuple):
    """Where one Triton listens, each as host:port."""

    http: str
    grpc: str
    metrics: str


class Stack:
    """The processes that serve for `home`; what runs is asked of them, and not remembered here."""

    def __init__(self, home: Home, settings: ServingSettings) -> None:
        self.home = home
        self.settings = settings
        self._folder = home.serving

    def running(self) -> bool:
        """Tells whether the process manager runs, whatever its programs do."""
        return self._supervisor().pid() is not None

    def start(self) -> None:
        """Starts the process manager with nothing to keep yet; runs it already, nothing happens.

        What a crash or a restart of the machine left behind is ended and forgotten first.

        Raises:
            SupervisorFailed: it does not come up.
        """
        with self._changing():
            supervisor = self._supervisor()
            if supervisor.pid() is not None:
                return
            left = leftovers.find(self._folder)
            if left:
                log.warning("leftover_processes_ended", count=len(left))
            supervisor.stop()
            self._forget()
            before = state.read(self._folder)
            # The former place may have been on a disk that a restart of the machine emptied.
            socket = state.socket_path(self._folder)
            state.write(self._folder, State(socket=socket, ports=before.ports))
            pid = self._supervisor().start()
            state.write(
                self._folder, State(pid=pid, since=datetime.now(UTC), socket=socket, ports=before.ports)
            )

    def want(self, environments: Iterable[Environment]) -> None:
        """Notes that `environments` are to serve here, for those who compare what is with what should be."""
        with self._changing():
            now = state.read(self._folder)
            wanted = tuple(sorted({*now.environments, *environments}))
            if wanted != now.environments:
                state.write(self._folder, now.model_copy(update={"environments": wanted}))

    def stop(self) -> bool:
        """Ends everything, and tells whether anything ran; works also when the process manager was killed.

        Raises:
            SupervisorFailed: a process cannot be ended.
        """
        with self._changing():
            ran = bool(leftovers.find(self._folder))
            before = state.read(self._folder)
            self._supervisor().stop()
            self._forget()
            if self._folder.is_dir():
                state.write(self._folder, State(socket=before.socket, ports=before.ports))
            return ran

    def triton(self, environment: Environment) -> Addresses:
        """Returns the addresses of the environment's Triton, which answers.

        Raises:
            StackDown: the process manager does not run.
            TritonUnavailable: Triton cannot run on this machine.
            ProgramFailed: it does not come up.
        """

        def made(ports: programs.Ports) -> Program:
            return programs.triton(self.home, environment, ports, self.settings)

        name = programs.triton_name(environment)
        ports = self._ensure(name, programs.TRITON_PORTS, made)
        addresses = Addresses(**{use: f"{LOOPBACK}:{ports[use]}" for use in programs.TRITON_PORTS})
        url = f"http://{addresses.http}/v2/health/ready"
        self._wait(name, url, self.settings.triton_start_seconds)
        return addresses

    def transformer(self, environment: Environment, model: str) -> str:
        """Returns the URL of the environment's transformer, which follows the route of `model` and is ready.

        The route must have been written.

        Raises:
            StackDown: the process manager does not run.
            ProgramFailed: it does not come up, or does not become ready.
        """
        self.begin_transformer(environment, model)
        name = programs.transformer_name(environment)
        url = self.transformer_url(environment)
        self._wait(name, f"{url}/v2/health/ready", self.settings.program_start_seconds)
        return url

    def begin_transformer(self, environment: Environment, model: str) -> None:
        """Starts the environment's transformer and does not wait for it.

        Raises:
            StackDown: the process manager does not run.
        """

        def made(ports: programs.Ports) -> Program:
            return programs.transformer(self.home, environment, model, ports)

        self._ensure(programs.transformer_name(environment), programs.HTTP_PORT, made)

    def transformer_url(self, environment: Environment) -> str:
        """Returns where the environment's transformer answers, or will answer when it is started."""
        name = programs.transformer_name(environment)
        with self._changing():
            ports = self._with_ports(state.read(self._folder), name, programs.HTTP_PORT)
        return f"http://{LOOPBACK}:{ports.ports[name]['http']}"

    def begin_gateway(self) -> None:
        """Starts the gateway and does not wait for it; it finds by itself what serves.

        Raises:
            StackDown: the process manager does not run.
        """
        ports = self._ensure(
            programs.GATEWAY, programs.HTTP_PORT, lambda ports: programs.gateway(self.home, ports)
        )
        write_text(address_file(self.home.root), f"http://{LOOPBACK}:{ports['http']}\n")

    def gateway(self) -> str:
        """Returns the URL of the gateway, which was begun and answers.

        Raises:
            ProgramFailed: it does not come up.
        """
        url = f"http://{LOOPBACK}:{state.read(self._folder).ports[programs.GATEWAY]['http']}"
        self._wait(programs.GATEWAY, url + LIVE, self.settings.program_start_seconds)
        return url

    def begin_monitoring(self) -> None:
        """Starts the monitoring process and does not wait for it; the records must have their tables.

        Raises:
            StackDown: the process manager does not run.
        """
        self._ensure(
            programs.MONITORING, programs.HTTP_PORT, lambda ports: programs.monitoring(self.home, ports)
        )

    def monitoring(self) -> str:
        """Returns the URL of the monitoring process, which was begun and answers.

        Raises:
            ProgramFailed: it does not come up.
        """
        url = f"http://{LOOPBACK}:{state.read(self._folder).ports[programs.MONITORING]['http']}"
        self._wait(programs.MONITORING, url + monitoring_paths.LIVE, self.settings.program_start_seconds)
        return url

    def begin_mlflow(self, store: str) -> None:
        """Starts MLflow's pages over the database `store` and does not wait for them.

        Raises:
            StackDown: the process manager does not run.
        """
        self._ensure(
            programs.MLFLOW, programs.HTTP_PORT, lambda ports: programs.mlflow(self.home, ports, store)
        )

    def mlflow(self) -> str:
        """Returns the URL of MLflow's pages, which were begun and answer.

        Raises:
            ProgramFailed: they do not come up.
        """
        port = state.read(self._folder).ports[programs.MLFLOW]["http"]
        url = f"http://{LOOPBACK}:{port}"
        self._wait(programs.MLFLOW, f"{url}/health", self.settings.program_start_seconds)
        return url

    def drop(self, name: str) -> None:
        """Ends the program `name` and keeps it no longer; gone already is fine."""
        with self._changing():
            now = state.read(self._folder)
            kept = tuple(program for program in now.programs if program.name != name)
            if kept == now.programs or not self.running():
                return
            state.write(self._folder, now.model_copy(update={"programs": kept}))
            self._supervisor().update(kept)

    def state(self) -> State:
        """Returns what the state file says."""
        return state.read(self._folder)

    def processes(self) -> list[Process]:
        """Returns what the process manager says of each program; nothing if it does not run."""
        return self._supervisor().processes()

    def runs(self, name: str) -> bool:
        """Tells whether there is a process of the program `name` now."""
        return any(process.name == name and process.runs for process in self.processes())

    def keeps(self, name: str) -> bool:
        """Tells whether the program `name` is kept running, even if it is just being started again."""
        return any(process.name == name for process in self.processes())

    def given_up(self, name: str) -> bool:
        """Tells whether the process manager has stopped trying to run the program `name`."""
        return any(process.name == name and process.given_up for process in self.processes())

    def restarts(self) -> dict[str, int]:
        """Returns how often each program ended by itself since `since` of the state."""
        return self._supervisor().restarts()

    def _supervisor(self) -> Supervisor:
        return Supervisor(self._folder, state.read(self._folder).socket)

    def _changing(self) -> AbstractContextManager[None]:
        return locked(self._folder / _LOCK, what="A change of what runs", timeout_seconds=_LOCK_SECONDS)

    def _with_ports(self, now: State, name: str, uses: Sequence[str]) -> State:
        """Returns the state with ports for `name`, written down."""
        ported = state.with_ports(now, name, uses, keep=self.runs(name))
        if ported != now:
            state.write(self._folder, ported)
        return ported

    def _ensure(
        self, name: str, uses: Sequence[str], made: Callable[[programs.Ports], Program]
    ) -> programs.Ports:
        """Starts the program `name` unless it runs as it should, and returns its ports."""
        with self._changing():
            if not self.running():
                raise StackDown("The process manager does not run.", next_step="sluice up")
            now = self._with_ports(state.read(self._folder), name, uses)
            program = made(now.ports[name])
            former = next((each for each in now.programs if each.name == name), None)
            if former is not None and former.command == program.command:
                # Another shell has other variables: no reason to restart what runs.
                program = former
            others = (each for each in now.programs if each.name != name)
            wanted = tuple(sorted((*others, program), key=lambda each: (each.priority, each.name)))
            if wanted != now.programs or not self.runs(name):
                state.write(self._folder, now.model_copy(update={"programs": wanted}))
                self._supervisor().update(wanted)
            return now.ports[name]

    def _wait(self, name: str, url: str, seconds: float) -> None:
        """Returns when `url` answers well.

        Raises:
            ProgramFailed: it does not in `seconds`, or the program ends again and again.
        """
        deadline = time.monotonic() + seconds
        ended = self.restarts().get(name, 0)
        told = "nothing answered"
        with probes.client() as client:
            while time.monotonic() < deadline:
                try:
                    answer = client.get(url)
                except httpx.TransportError:
                    process = next((each for each in self.processes() if each.name == name), None)
                    if process is None or process.given_up:
                        raise self._failed(name, "it is not running")  # noqa: B904 - the log tells more
                    if self.restarts().get(name, 0) - ended >= _FAILED_STARTS:
                        raise self._failed(name, "it ends again and again")  # noqa: B904
                else:
                    if answer.is_success:
                        return
                    told = f"it answers {answer.status_code} {answer.text[:500]}".strip()
                time.sleep(_POLL_SECONDS)
        raise self._failed(name, f"not ready within {seconds:g} s: {told}")

    def _failed(self, name: str, why: str) -> ProgramFailed:
        lines = logs.last(configuration.log_file(self._folder, name), 12)
        tail = "\n".join(("Its log ends:", *lines)) if lines else "Its log is empty."
        return ProgramFailed(f"{name}: {why}. {tail}", next_step=f"sluice logs {name} -n 200")

    def _forget(self) -> None:
        """Removes what says that somebody answers here, and what would be loaded again."""
        for folder in (ROUTES, programs.REPOSITORIES):
            shutil.rmtree(self._folder / folder, ignore_errors=True)
        monitoring_paths.address_file(self.home.root).unlink(missing_ok=True)
        tritons = [programs.triton_name(environment) for environment in Environment]
        ports = state.read(self._folder).ports
        leftovers.free_shared_memory(ports[name]["http"] for name in tritons if name in ports)
