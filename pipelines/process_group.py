"""A child process with all that it starts, and a way to end every one of them."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO

import psutil

_KILL_SECONDS = 30.0
"""Longest wait for processes that were killed to be gone."""


class ProcessGroup:
    """A process in a session of its own; its standard input closes when this process ends, in any way."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes]) -> None:
        self._child = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=dict(environment),
            start_new_session=True,
        )

    def poll(self) -> int | None:
        """Returns the exit code, or None while it runs."""
        return self._child.poll()

    def stop(self, grace_seconds: float) -> None:
        """Ends the process and everything below it: asked first, killed after `grace_seconds`.

        Some of what runs below (Ray's own processes) leaves the group; it is found by its ancestry, which is
        looked up before anything ends.
        """
        family = self._family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline and any(process.is_running() for process in _alive(family)):
            self._child.poll()
            family += [process for process in self._family() if process not in family]
            time.sleep(0.1)
        for process in _alive(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        # A kill is not waited for by itself, and a busy machine takes its time over it.
        deadline = time.monotonic() + _KILL_SECONDS
        while time.monotonic() < deadline and _alive(family):
            time.sleep(0.02)
        if self._child.stdin is not None:
            self._child.stdin.close()

    def _family(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self._child.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            # psutil compares the time of birth, so that a number that was given anew is not taken for ours.
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
