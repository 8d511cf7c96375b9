"""Triton on this machine: started, waited for, and stopped with everything it started.

It listens on loopback only and loads what it is told to. Errors::

    OperationalError
    ├── TritonUnavailable   503  it cannot run here (triton_wheel.py)
    └── TritonFailed        503  it ended, or was not ready in time; the end of its log is told
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from kit.errors import OperationalError
from serving.local.leftovers import free_shared_memory
from serving.runtimes.triton_wheel import LOOPBACK, Command, Ports, TritonUnavailable, command, unavailable
from serving.settings import ServingSettings
from serving.triton_control import TritonControl

__all__ = [
    "Command", "Ports", "Triton", "TritonFailed", "TritonUnavailable", "command", "free_ports", "running",
    "stop", "unavailable",
]  # fmt: skip

_STUB_SECONDS: Final = 1
_POLL_SECONDS: Final = 0.05
_STARTS: Final = 3
_TAKEN: Final = "already in use"
_LOG_END_BYTES: Final = 2000


class TritonFailed(OperationalError):
    """Triton ended, or was not ready in time."""

    code = "triton_failed"
    title = "Triton failed"


@dataclass(frozen=True)
class Triton:
    """A server that runs, with the models that were asked for ready."""

    pid: int
    ports: Ports
    log: Path

    @property
    def http(self) -> str:
        """host:port of the HTTP endpoint."""
        return f"{LOOPBACK}:{self.ports.http}"

    @property
    def grpc(self) -> str:
        """host:port of the gRPC endpoint."""
        return f"{LOOPBACK}:{self.ports.grpc}"

    @property
    def metrics(self) -> str:
        """host:port of the Prometheus endpoint."""
        return f"{LOOPBACK}:{self.ports.metrics}"


def free_ports() -> Ports:
    """Returns three ports that nothing listens on; another process may take them before we do."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in Ports._fields]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return Ports(*(each.getsockname()[1] for each in sockets))


@contextlib.contextmanager
def running(
    repository: Path,
    models: Mapping[str, str] | None = None,
    *,
    log: Path | None = None,
    settings: ServingSettings | None = None,
    choose: Callable[[], Ports] = free_ports,
) -> Iterator[Triton]:
    """Yields a Triton over `repository` that has `models` ready, each by name and version; then stops it.

    Its log goes to `log` (`<repository>.log`). If a port of those that `choose` gave was taken meanwhile, it
    is asked again. What is left running after the time to stop is killed.

    Raises:
        TritonUnavailable: it cannot run on this machine.
        TritonFailed: it ended, or was not ready in time.
        TritonRefused: a model cannot be loaded; with Triton's reason.
    """
    settings = settings or ServingSettings.load()
    log = log or repository.with_name(f"{repository.name}.log")
    process, ports = _started(repository, log, settings, choose)
    try:
        triton = Triton(process.pid, ports, log)
        with TritonControl(
            triton.http, grpc=triton.grpc, load_seconds=settings.triton_load_seconds
        ) as control:
            for model, version in (models or {}).items():
                control.load(model)
                if not control.model_ready(model, version):
                    raise TritonFailed(f"Triton does not serve version {version} of {model}. {_end(log)}")
        yield triton
    finally:
        stop(process, settings.triton_stop_seconds)
        free_shared_memory([ports.http])


def stop(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Ends a Triton that leads a session of its own, and what it started, within about `seconds`."""
    family = [psutil.Process(process.pid)] if process.poll() is None else []
    family += [child for parent in family for child in parent.children(recursive=True)]
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    # Models' processes look for their server every 0.3 s, and clean up after themselves when it is gone.
    _, remaining = psutil.wait_procs(family, timeout=_STUB_SECONDS)
    for each in remaining:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
    psutil.wait_procs(remaining, timeout=_STUB_SECONDS)


def _started(
    repository: Path, log: Path, settings: ServingSettings, choose: Callable[[], Ports]
) -> tuple["subprocess.Popen[bytes]", Ports]:
    for attempt in range(_STARTS):
        ports = choose()
        how = command(repository, ports, load_all=False, stop_seconds=settings.triton_stop_seconds)
        with log.open("wb") as target:
            process = subprocess.Popen(  # noqa: S603 - our own wheel's server
                how.arguments,
                env={**os.environ, **how.environment},
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait(process, ports, log, settings.triton_start_seconds)
        except TritonFailed:
            stop(process, settings.triton_stop_seconds)
            if attempt + 1 < _STARTS and _TAKEN in log.read_text(encoding="utf-8", errors="replace"):
                continue
            raise
        except BaseException:
            stop(process, settings.triton_stop_seconds)
            raise
        return process, ports
    raise AssertionError("unreachable")


def _wait(process: "subprocess.Popen[bytes]", ports: Ports, log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with TritonControl(f"{LOOPBACK}:{ports.http}") as control:
        # Another's server may answer on a port that was taken meanwhile, so the ports must be our own.
        while not (_listens(process.pid, ports) and control.ready()):
            if process.poll() is not None:
                raise TritonFailed(f"Triton ended with code {process.returncode}. {_end(log)}")
            if time.monotonic() > deadline:
                raise TritonFailed(f"Triton was not ready within {seconds:g} s. {_end(log)}")
            time.sleep(_POLL_SECONDS)


def _listens(pid: int, ports: Ports) -> bool:
    """Tells whether the process `pid` itself listens on all of the ports."""
    found = psutil.net_connections("tcp")
    return {*ports} <= {
        each.laddr.port for each in found if each.pid == pid and each.status == psutil.CONN_LISTEN
    }


def _end(log: Path) -> str:
    """Returns the end of the log, for people who have nothing else to go by."""
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - _LOG_END_BYTES))
        text = source.read().decode("utf-8", "replace").strip()
    return f"Its log, {log}, ends:\n{text}" if text else f"Its log, {log}, is empty."
