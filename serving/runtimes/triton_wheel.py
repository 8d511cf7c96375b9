"""Triton as the nvidia-pytriton wheel has it: where it is, whether it can run here, and how it is started.

The wheel holds a whole server, the Python backend, and the backend's stub for each Python; it declares NumPy
1 and a Python client, neither of which is installed beside Sluice. What the stub needs is in an environment
of its own (requirements/triton.in), which `make setup` makes. Errors::

    OperationalError
    └── TritonUnavailable   503  it cannot run here; the message says why, and what to do instead
"""

import os
import platform
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

from kit.errors import OperationalError

DISTRIBUTION: Final = "nvidia-pytriton"
BACKENDS: Final = ".triton"
"""Beside the model repositories: the backend of the wheel together with the stub of this Python."""
ENVIRONMENT: Final = Path(sys.prefix) / "triton"
"""Where models' programs run: the stub finds its libraries by the first python3 on PATH; it needs NumPy 1."""
LOOPBACK: Final = "127.0.0.1"

_GLIBC: Final = (2, 35)
_STUB: Final = "triton_python_backend_stub"
_EXIT_MARGIN_SECONDS: Final = 2


class TritonUnavailable(OperationalError):
    """Triton cannot run on this machine."""

    code = "triton_unavailable"
    title = "Triton cannot run here"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Triton cannot run here: {reason}.",
            next_step="Use the embedded backend, which needs no Triton; sluice doctor says more.",
        )


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


def unavailable() -> str | None:
    """Returns in words why Triton cannot run on this machine, or None if it can."""
    files = _files()
    return (
        wrong_platform(sys.platform, platform.machine(), platform.libc_ver())
        or _incomplete([file.name for file in files], any(map(_is_stub, files)))
        or _without_environment(ENVIRONMENT)
    )


def wrong_platform(system: str, machine: str, libc: tuple[str, str]) -> str | None:
    """Returns what of a platform keeps the wheel's server from running on it, or None."""
    name, version = libc
    if system != "linux" or machine != "x86_64" or name != "glibc":
        this = " ".join(part for part in (system, machine, name) if part)
        return f"the wheel's server runs on Linux x86-64 with glibc, and this is {this}"
    if tuple(int(part) for part in version.split(".")[:2]) < _GLIBC:
        return f"the wheel's server needs glibc 2.35 or newer (Debian 12, Ubuntu 22.04); here is {version}"
    return None


def _incomplete(names: list[str], stub: bool) -> str | None:
    if "tritonserver" not in names:
        return f"the wheel {DISTRIBUTION} is not installed: make setup installs it"
    return None if stub else f"the wheel's server cannot run programs of Python {_python()}"


def _without_environment(folder: Path) -> str | None:
    if (folder / "bin" / "python3").exists():
        return None
    return f"the environment of its programs, {folder}, is not there: make setup makes it"


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
    back with what it served; a model that cannot be loaded does not keep the others from it. Makes the
    folders `repository` and `backends` (beside it): without the first it would never be ready.

    Raises:
        TritonUnavailable: it cannot run on this machine.
    """
    reason = unavailable()
    if reason is not None:
        raise TritonUnavailable(reason)
    repository.mkdir(parents=True, exist_ok=True)
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
        try:
            staging.rename(whole)
        except OSError:
            # Another process may have been faster, with the same content.
            if not whole.is_dir():
                raise
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
