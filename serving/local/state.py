"""The one state file of local serving: which programs there are, on which ports, and since when.

It is a note, not the truth: what runs is asked of the process manager and of the processes. Lost or damaged,
it is made anew; only the ports may then change.
"""

import contextlib
import hashlib
import os
import socket
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.environments import Environment
from kit.errors import OperationalError
from kit.files import write_text

FILE: Final = "state.json"
SOCKET: Final = "supervisor.sock"
LOOPBACK: Final = "127.0.0.1"

_SOCKET_PATH_BYTES: Final = 96
"""The system takes 107 bytes; supervisor binds a name that is longer by a dot and its process number."""

log = structlog.get_logger(__name__)


class SocketFolderTaken(OperationalError):
    """The folder for sockets belongs to somebody else."""

    code = "socket_folder_taken"
    title = "No place for the socket of the process manager"


class Program(BaseModel):
    """One program that the process manager keeps running."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    command: tuple[str, ...] = Field(min_length=1)
    variables: dict[str, str] = Field(default_factory=dict)
    """Environment variables beside those that the process manager has."""
    priority: int
    """What depends on others has the higher number."""
    stop_seconds: int = Field(ge=1)
    """It is killed when it has not ended by itself in this time."""
    stop_group: bool = False
    """Whether the programs that it started are asked to end too, and not left to it."""


class State(BaseModel):
    """What the state file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int | None = None
    """Of the process manager, or None when nothing should run."""
    since: datetime | None = None
    """When the process manager was started."""
    socket: Path
    """Where the process manager takes orders."""
    ports: dict[str, dict[str, int]] = Field(default_factory=dict)
    """By program and use; kept when programs come and go, so that addresses stay."""
    environments: tuple[Environment, ...] = ()
    """Those that `sluice up` was asked for."""
    programs: tuple[Program, ...] = ()


def read(folder: Path) -> State:
    """Returns the state in `folder`; absent or damaged, that of a machine on which nothing runs."""
    path = folder / FILE
    try:
        return State.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State(socket=socket_path(folder))
    except (ValidationError, UnicodeDecodeError):
        log.warning("serving_state_damaged", path=str(path))
        return State(socket=socket_path(folder))


def write(folder: Path, state: State) -> None:
    """Writes the state file, whole or not at all."""
    write_text(folder / FILE, state.model_dump_json(indent=2) + "\n")


def socket_path(folder: Path) -> Path:
    """Returns a path for the socket that the system takes, however long the name of `folder` is."""
    path = folder / SOCKET
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sluice-{os.getuid()}" / f"{name}.sock"


def make_socket_folder(path: Path) -> None:
    """Makes the folder of the socket at `path`, for this user only if others can reach what is around it.

    Raises:
        SocketFolderTaken: it is there, and another user can write to it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.name == SOCKET:
        return
    found = path.parent.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SocketFolderTaken(
            f"{path.parent} is not a folder of this user alone.",
            next_step="Remove it, or choose a SLUICE_HOME with a shorter name.",
        )


def with_ports(state: State, program: str, uses: Iterable[str], *, keep: bool) -> State:
    """Returns `state` with a port for each of `uses` of `program`: the former ones where they can be had.

    `keep` says that the program runs, so that its ports are taken by itself.
    """
    former = state.ports.get(program, {})
    ports: dict[str, int] = {}
    taken = {port for name, of in state.ports.items() if name != program for port in of.values()}
    with contextlib.ExitStack() as held:
        for use in uses:
            before = former.get(use)
            if before is not None and before not in taken and (keep or _bound(before, held) is not None):
                ports[use] = before
                continue
            found = _bound(0, held)
            while found in taken:
                found = _bound(0, held)
            ports[use] = int(found or 0)
    return state.model_copy(update={"ports": {**state.ports, program: ports}})


def _bound(port: int, held: contextlib.ExitStack) -> int | None:
    """Returns the port on which a socket was bound, held until the stack closes, or None if it is taken."""
    probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((LOOPBACK, port))
    except OSError:
        return None
    return int(probe.getsockname()[1])
