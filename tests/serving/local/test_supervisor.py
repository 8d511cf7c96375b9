"""The process manager with small programs: what it keeps, what it leaves, and where it cannot go."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.local import leftovers, logs, state
from serving.local.configuration import FolderUnusable, log_file
from serving.local.state import Program, SocketFolderTaken, State
from serving.local.supervisor import Supervisor, SupervisorFailed

pytestmark = pytest.mark.xdist_group("up")


def sleeper(name: str, **variables: str) -> Program:
    """A program that says something, starts another one, and waits."""
    script = "echo started $WHAT; sleep 1000 & exec sleep 1000"
    return Program(
        name=name, command=("/bin/sh", "-c", script), variables=variables, priority=1, stop_seconds=2
    )


def until(holds: Callable[[], Any]) -> Any:
    """Returns what `holds` returns, once that is true."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("It never held.")


@pytest.fixture
def supervisor(folder: Path) -> Iterator[Supervisor]:
    """One that does not run yet; what it starts is ended."""
    made = Supervisor(folder, state.socket_path(folder))
    yield made
    made.stop()


def pid_of(supervisor: Supervisor, name: str) -> int:
    """Returns the number of a program's process, once it has one."""
    return int(until(lambda: next((each.pid for each in supervisor.processes() if each.name == name), None)))


def test_only_what_changed_is_restarted(supervisor: Supervisor, folder: Path) -> None:
    """One stays, one is changed, one goes; variables arrive as they were given."""
    assert supervisor.pid() is None
    supervisor.start()
    supervisor.update([sleeper("stays"), sleeper("changes", WHAT="one, 'two' = three"), sleeper("goes")])
    stays, changes = pid_of(supervisor, "stays"), pid_of(supervisor, "changes")
    until(lambda: logs.last(log_file(folder, "changes"), 5) == ["started one, 'two' = three"])
    supervisor.update([sleeper("stays"), sleeper("changes", WHAT="four")])
    assert {process.name for process in supervisor.processes()} == {"stays", "changes"}
    assert pid_of(supervisor, "stays") == stays
    assert pid_of(supervisor, "changes") != changes
    assert supervisor.restarts() == {}


def test_a_killed_program_comes_back_and_is_counted(supervisor: Supervisor) -> None:
    """Each time it ended by itself."""
    supervisor.start()
    supervisor.update([sleeper("dies")])
    first = pid_of(supervisor, "dies")
    os.kill(first, signal.SIGKILL)
    until(lambda: any(each.pid not in (None, first) for each in supervisor.processes()))
    assert supervisor.restarts() == {"dies": 1}


def test_what_a_killed_supervisor_leaves_is_ended(supervisor: Supervisor, folder: Path) -> None:
    """Also what the programs started themselves; nothing else on the machine is touched."""
    supervisor.start()
    supervisor.update([sleeper("orphan")])
    pid_of(supervisor, "orphan")
    until(lambda: len(leftovers.find(folder)) == 3)
    os.kill(supervisor.pid() or 0, signal.SIGKILL)
    until(lambda: len(leftovers.find(folder)) == 2)
    assert supervisor.processes() == []
    supervisor.stop()
    assert leftovers.find(folder) == []
    assert leftovers.find(folder.parent) == []


def test_a_supervisor_that_hangs_is_told_and_ended(supervisor: Supervisor, folder: Path) -> None:
    """It is there and does not answer."""
    os.kill(supervisor.start(), signal.SIGSTOP)
    impatient = Supervisor(folder, state.socket_path(folder), answer_seconds=0.5)
    with pytest.raises(SupervisorFailed, match="TimeoutError"):
        impatient.pid()
    impatient.stop()
    assert leftovers.find(folder) == []


def test_a_home_with_a_long_name_has_its_socket_elsewhere(tmp_path: Path, plain_settings: None) -> None:
    """The system takes 107 bytes; the other place is this user's alone."""
    folder = tmp_path / ("long " * 20) / "serving"
    folder.mkdir(parents=True)
    path = state.socket_path(folder)
    assert not path.is_relative_to(folder)
    supervisor = Supervisor(folder, path)
    try:
        supervisor.start()
        assert path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        supervisor.stop()
    assert not path.exists()


def test_a_folder_of_sockets_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    """Whoever made it could put a socket of his own there."""
    (tmp_path / "sluice-0").mkdir()
    (tmp_path / "sluice-0").chmod(0o777)
    with pytest.raises(SocketFolderTaken):
        state.make_socket_folder(tmp_path / "sluice-0" / "x.sock")


@pytest.mark.parametrize("name", ['a"b', "50%", "a ;b", "a #b", "line\nbreak"])
def test_a_home_that_supervisor_cannot_write_down_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything starts, with what to do."""
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(FolderUnusable) as refused:
        Supervisor(folder, state.socket_path(folder)).start()
    assert "SLUICE_HOME" in str(refused.value.next_step)
    assert list(folder.iterdir()) == []


def test_ports_are_kept_where_they_can_be_had(tmp_path: Path) -> None:
    """By a program that runs always; by one that does not, unless somebody else listens there."""
    now = state.with_ports(State(socket=tmp_path), "one", ("http", "grpc"), keep=False)
    now = state.with_ports(now, "two", ("http",), keep=False)
    numbers = [port for ports in now.ports.values() for port in ports.values()]
    assert len(set(numbers)) == 3
    assert state.with_ports(now, "one", ("http", "grpc"), keep=False) == now
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", now.ports["one"]["http"]))
        taken.listen()
        assert state.with_ports(now, "one", ("http", "grpc"), keep=True) == now
        other = state.with_ports(now, "one", ("http", "grpc"), keep=False)
    assert other.ports["one"]["http"] != now.ports["one"]["http"]
    assert other.ports["one"]["grpc"] == now.ports["one"]["grpc"]


def test_the_end_of_a_log_is_read_from_its_end_and_cannot_steer_a_terminal(tmp_path: Path) -> None:
    """Longer than a block, with bytes that are no text."""
    path = tmp_path / "x.log"
    path.write_bytes(b"".join(b"%06d %s\n" % (at, b"x" * 40) for at in range(5000)) + b"\x1b[2J\xff\tend\n")
    assert logs.last(path, 2) == [f"004999 {'x' * 40}", "\\x1b[2J\ufffd\tend"]
    assert len(logs.last(path, 10_000)) == 5001
    assert logs.last(path, 0) == []
    assert logs.last(tmp_path / "none.log", 5) == []


def test_a_followed_log_goes_on_after_it_was_rotated(tmp_path: Path) -> None:
    """No line is lost, and half a line waits for its other half."""
    path = tmp_path / "x.log"
    path.write_text("before\n")
    lines = logs.followed(path)
    script = (
        "import os, sys, time; path = sys.argv[1]\n"
        "log = open(path, 'a'); time.sleep(0.5); log.write('on'); log.flush(); time.sleep(0.5)\n"
        "log.write('e\\n'); log.close(); os.rename(path, path + '.1'); open(path, 'w').write('two\\n')\n"
    )
    writer = subprocess.Popen((sys.executable, "-c", script, str(path)))
    try:
        assert [next(lines), next(lines)] == ["one", "two"]
    finally:
        writer.wait(timeout=30)
