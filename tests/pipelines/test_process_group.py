"""Whatever is started can be stopped, with everything below it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipelines.process_group import ProcessGroup

# Starts a child in another session, as Ray does, and ignores being asked to leave if told so.
TREE = """
import signal, subprocess, sys, time
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
open(sys.argv[1] + ".part", "w").write(str(child.pid))
import os; os.replace(sys.argv[1] + ".part", sys.argv[1])
time.sleep(120)
"""


def is_gone(pid: int) -> bool:
    """Whether no process of this number works any more."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_for(path: Path) -> int:
    """Returns the number that appears in a file."""
    for _ in range(2000):
        if path.exists():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError(path)


@pytest.mark.parametrize("manners", ["polite", "deaf"])
def test_stopping_ends_what_left_the_group_too(tmp_path: Path, manners: str) -> None:
    """A grandchild in a session of its own, below a child that may not listen."""
    with (tmp_path / "log").open("wb") as log:
        group = ProcessGroup(
            (sys.executable, "-c", TREE, str(tmp_path / "pid"), manners), environment=os.environ, log=log
        )
        grandchild = wait_for(tmp_path / "pid")
        assert group.poll() is None
        group.stop(grace_seconds=0.5)
    assert group.poll() is not None
    assert is_gone(grandchild)


def test_stopping_what_has_ended_is_no_error(tmp_path: Path) -> None:
    """The usual case: it ended by itself."""
    with (tmp_path / "log").open("wb") as log:
        group = ProcessGroup((sys.executable, "-c", "print('done')"), environment=os.environ, log=log)
        while group.poll() is None:
            time.sleep(0.02)
        group.stop(grace_seconds=5)
    assert (tmp_path / "log").read_text() == "done\n"


def test_the_runner_leaves_when_its_command_is_killed(tmp_path: Path) -> None:
    """Its standard input closes; nobody is left to stop it otherwise."""
    code = (
        "import threading, time\n"
        "from pipelines.local_process import _leave_with_parent\n"
        "threading.Thread(target=_leave_with_parent, daemon=True).start()\n"
        "print('ready', flush=True)\n"
        "time.sleep(120)\n"
    )
    runner = subprocess.Popen(
        (sys.executable, "-c", code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert runner.stdout is not None
    assert runner.stdin is not None
    assert runner.stdout.readline() == b"ready\n"
    assert runner.poll() is None
    runner.stdin.close()
    assert runner.wait(timeout=240) < 0
    runner.stdout.close()
