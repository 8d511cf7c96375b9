"""Processes that work for a folder, found by what they carry, whoever started them and whoever died.

A process hands its variables down to everything it starts. So the mark is also on processes whose number
nobody wrote down: those that were restarted, and those that a program started itself. And the memory that a
Triton shares with its models' processes, which outlives them when they are killed.
"""

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil

MARK: Final = "LOCAL_SERVING_FOLDER"
"""The variable that names the folder a process works for."""

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where the system keeps it; only ours is touched
_REGION: Final = re.compile(r"sluice-(\d+)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A region's name is that of its Triton's HTTP port (serving/runtimes/triton.py), and a UUID."""
_GRACE_SECONDS: Final = 8
_KILLED_SECONDS: Final = 5


def find(folder: Path) -> list[psutil.Process]:
    """Returns the processes that carry the mark of `folder`, without this one and those above it."""
    mine = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder) and process.pid not in mine and _alive(process):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # It ended meanwhile, or is another user's and so not ours.
    return found


def end(folder: Path) -> list[psutil.Process]:
    """Ends what carries the mark of `folder`, asked first and killed then; returns what is still there."""
    found = find(folder)
    for process in found:
        _signal(process, kill=False)
    _gone(found, _GRACE_SECONDS)
    # A process may have started another one before it ended.
    remaining = find(folder)
    for process in remaining:
        _signal(process, kill=True)
    _gone(remaining, _KILLED_SECONDS)
    return find(folder)


def free_shared_memory(ports: Iterable[int]) -> None:
    """Removes what Tritons with these HTTP ports left in shared memory; none of them may run."""
    wanted = {str(port) for port in ports}
    for path in _SHARED_MEMORY.glob("sluice-*"):
        named = _REGION.fullmatch(path.name)
        if named is not None and named[1] in wanted:
            path.unlink(missing_ok=True)


def wait(pid: int, timeout_seconds: float) -> None:
    """Returns when the process `pid` has ended, or after `timeout_seconds`."""
    try:
        _gone([psutil.Process(pid)], timeout_seconds)
    except psutil.NoSuchProcess:
        return


def _gone(processes: list[psutil.Process], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline and any(_alive(process) for process in processes):
        time.sleep(0.05)


def _alive(process: psutil.Process) -> bool:
    try:
        # psutil compares the time of birth: a number that was given anew is another process.
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
            process.resume()  # One that was stopped would not hear it.
    except psutil.NoSuchProcess:
        return
