"""Triton on this machine: the server of the nvidia-pytriton wheel, found, started, waited for and stopped.

The wheel holds a whole server with the Python backend and no other (serving/python_backend). It listens on
loopback only and loads what it is told to. Errors::

    OperationalError
    ├── TritonUnavailable   503  it cannot run here; the message says why, and what to do instead
    └── TritonFailed        503  it ended, or was not ready in time; the end of its log is told
"""

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

from kit.errors import OperationalError
from serving.settings import ServingSettings
from serving.triton_control import TritonControl

DISTRIBUTION: Final = "nvidia-pytriton"
BACKENDS: Final = ".triton"
"""Beside the model repositories: the backend of the wheel together with the stub of this Python."""
LOOPBACK: Final = "127.0.0.1"
ENVIRONMENT: Final = Path(sys.prefix) / "triton"
"""Where models' programs run: the stub finds its libraries by the first python3 on PATH; it needs NumPy 1."""

_GLIBC: Final = (2, 35)
_STUB: Final = "triton_python_backend_stub"
_EMBEDDED: Final = "Or use the embedded backend, which needs no Triton."
_EXIT_MARGIN_SECONDS: Final = 2
_POLL_SECONDS: Final = 0.02
_STARTS: Final = 3
_TAKEN: Final = "Address already in use"
_LOG_END_BYTES: Final = 2000


class TritonUnavailable(OperationalError):
    """Triton cannot run on this machine."""

    code = "triton_unavailable"
    title = "Triton cannot run here"


class TritonFailed(OperationalError):
    """Triton ended, or was not ready in time."""

    code = "triton_failed"
    title = "Triton failed"


class Ports(NamedTuple):
    """Where one Triton listens, on loopback."""

    http: int
    grpc: int
    metrics: int


@dataclass(frozen=True)
class Command:
    """How a process is started: its arguments, and what its environment has beyond ours."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]


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


def unavailable() -> str | None:
    """Returns in words why Triton cannot run on this machine, or None if it can."""
    machine, (libc, version) = platform.machine(), platform.libc_ver()
    if sys.platform != "linux" or machine != "x86_64" or libc != "glibc":
        return (
            f"the wheel's server runs on Linux x86-64 with glibc, and this is {sys.platform} {machine} {libc}"
        )
    if tuple(int(part) for part in version.split(".")[:2]) < _GLIBC:
        return (
            f"the wheel's server needs glibc 2.35 or newer (Debian 12, Ubuntu 22.04), and this has {version}"
        )
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return f"the wheel {DISTRIBUTION} is not installed: make setup installs it"
    if not any(file.name == "tritonserver" for file in files):
        return f"the wheel {DISTRIBUTION} holds no server: make clean setup installs it anew"
    if not any(_is_stub(Path(file)) for file in files):
        return f"the wheel's server cannot run programs of Python {_python()}"
    if not (ENVIRONMENT / "bin" / "python3").exists():
        return f"the environment of its programs, {ENVIRONMENT}, is not there: make setup makes it"
    return None


def command(
    repository: Path,
    ports: Ports,
    *,
    load_all: bool = True,
    backends: Path | None = None,
    stop_seconds: float = 5,
) -> Command:
    """Returns how to start a Triton over `repository` that ends within `stop_seconds` of a SIGTERM.

    With `load_all` it loads every model of the repository at its start, so that one that was killed comes
    back with what it served; a model that cannot be loaded does not keep the others from it. Makes the folder
    `backends` (beside the repository) if it is not there.

    Raises:
        TritonUnavailable: it cannot run on this machine.
    """
    reason = unavailable()
    if reason is not None:
        raise TritonUnavailable(f"Triton cannot run here: {reason}.", next_step=_EMBEDDED)
    files = _files()
    server = next(file for file in files if file.name == "tritonserver")
    packages = server.parents[3]
    backend = _backends(backends or repository.parent / BACKENDS, files)
    # In-flight requests are given less than the whole time: the models' own processes must end in it, too.
    patience = max(int(stop_seconds) - _EXIT_MARGIN_SECONDS, 1)
    arguments = (
        str(server),
        f"--model-repository={repository.absolute()}",
        f"--backend-directory={backend}",
        f"--http-address={LOOPBACK}",
        f"--http-port={ports.http}",
        f"--grpc-address={LOOPBACK}",
        f"--grpc-port={ports.grpc}",
        f"--metrics-address={LOOPBACK}",
        f"--metrics-port={ports.metrics}",
        "--allow-gpu-metrics=false",
        "--model-control-mode=explicit",
        *(("--load-model=*",) if load_all else ()),
        "--exit-on-error=false",
        "--strict-readiness=false",
        "--disable-auto-complete-config",
        f"--exit-timeout-secs={patience}",
        f"--backend-config=python,shm-region-prefix-name=sluice-{ports.http}",
    )
    libraries = [str(packages / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR") or ""]
    inherited = os.environ.get("LD_LIBRARY_PATH", "")
    environment = {
        "LD_LIBRARY_PATH": ":".join(part for part in (*libraries, inherited) if part),
        "PATH": f"{ENVIRONMENT / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "OMP_NUM_THREADS": "1",
    }
    return Command(arguments, environment)


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
) -> Iterator[Triton]:
    """Yields a Triton over `repository` that has `models` ready, each by name and version; then stops it.

    Its log goes to `log` (`<repository>.log`). What it leaves running after the time to stop is killed.

    Raises:
        TritonUnavailable: it cannot run on this machine.
        TritonFailed: it ended, or was not ready in time.
        TritonRefused: a model cannot be loaded; with Triton's reason.
    """
    settings = settings or ServingSettings.load()
    log = log or repository.with_name(f"{repository.name}.log")
    process, ports = _started(repository, log, settings)
    try:
        triton = Triton(process.pid, ports, log)
        with TritonControl(triton.http, load_seconds=settings.triton_load_seconds) as control:
            for model, version in (models or {}).items():
                control.load(model)
                if not control.model_ready(model, version):
                    raise TritonFailed(f"Triton does not serve version {version} of {model}. {_end(log)}")
        yield triton
    finally:
        stop(process, settings.triton_stop_seconds)


def stop(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Ends a process that leads a session of its own, and everything in it, within `seconds`."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    # Its stubs end by themselves when it has ended; whoever has not is ended now.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _started(
    repository: Path, log: Path, settings: ServingSettings
) -> tuple["subprocess.Popen[bytes]", Ports]:
    for attempt in range(_STARTS):
        ports = free_ports()
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
        while not control.ready():
            if process.poll() is not None:
                raise TritonFailed(f"Triton ended with code {process.returncode}. {_end(log)}")
            if time.monotonic() > deadline:
                raise TritonFailed(f"Triton was not ready within {seconds:g} s. {_end(log)}")
            time.sleep(_POLL_SECONDS)


def _backends(folder: Path, files: list[Path]) -> Path:
    """Returns the folder of backends, which the wheel has in two places: the backend, and the stubs."""
    whole = folder.absolute() / f"{metadata.version(DISTRIBUTION)}-python{_python()}"
    if whole.is_dir():
        return whole
    whole.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{whole.name}.", dir=whole.parent))
    try:
        (staging / "python").mkdir()
        for file in files:
            if file.parts[-3:-1] == ("backends", "python") or _is_stub(file):
                shutil.copyfile(file, staging / "python" / file.name)
        (staging / "python" / _STUB).chmod(0o755)
        staging.chmod(0o755)
        # Another process may have been faster, with the same content.
        with contextlib.suppress(OSError):
            staging.rename(whole)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return whole


def _wrong_platform(system: str, machine: str, libc: tuple[str, str]) -> str | None:
    name, version = libc
    if system != "linux" or machine != "x86_64" or name != "glibc":
        return f"the wheel's server runs on Linux x86-64 with glibc, and this is {system} {machine} {name}"
    if tuple(int(part) for part in version.split(".")[:2]) < _GLIBC:
        return (
            f"the wheel's server needs glibc 2.35 or newer (Debian 12, Ubuntu 22.04), and this has {version}"
        )
    return None


def _files() -> list[Path]:
    """Returns the files of the wheel, found without importing it; none if it is not installed."""
    try:
        return [Path(str(file.locate())) for file in metadata.files(DISTRIBUTION) or []]
    except metadata.PackageNotFoundError:
        return []


def _is_stub(file: Path) -> bool:
    return file.name == _STUB and file.parts[-2] == _python()


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _end(log: Path) -> str:
    """Returns the end of the log, for people who have nothing else to go by."""
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - _LOG_END_BYTES))
        text = source.read().decode("utf-8", "replace").strip()
    return f"Its log, {log}, ends:\n{text}" if text else f"Its log, {log}, is empty."
