"""supervisor, a process manager: one for each SLUICE_HOME, started, asked, told and stopped here.

It restarts what ends by itself, waits longer after each failed start, gives up after some, and rotates logs.
Every process below it carries the mark of its folder (leftovers.py), so that what a killed supervisor leaves
behind is found. Errors::

    OperationalError
    └── SupervisorFailed   503  supervisor does not start, answer or stop
"""

import http.client
import os
import re
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from kit.errors import OperationalError
from kit.files import write_text
from serving.local import configuration, leftovers, rpc
from serving.local.configuration import LOG, LOGS, PID_FILE
from serving.local.leftovers import MARK
from serving.local.state import Program, make_socket_folder

_ANSWER_SECONDS: Final = 15
_STARTED_SECONDS: Final = 30
_STOPPED_SECONDS: Final = 40
_POLL_SECONDS: Final = 0.05


class SupervisorFailed(OperationalError):
    """supervisor does not do what it is told."""

    code = "supervisor_failed"
    title = "The process manager failed"


class Process(NamedTuple):
    """What supervisor says of one program."""

    name: str
    state: str
    """In supervisor's words: RUNNING, STARTING, BACKOFF, FATAL, EXITED, STOPPED, STOPPING."""
    pid: int | None
    since: datetime | None
    """When it was last started, if it runs."""
    told: str
    """Why it does not run, as far as supervisor knows."""

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self.state in {"RUNNING", "STARTING"}

    @property
    def given_up(self) -> bool:
        """Whether supervisor will not start it by itself."""
        return self.state in {"FATAL", "EXITED", "STOPPED"}


class Supervisor:
    """The supervisor that works for `folder`, running or not."""

    def __init__(self, folder: Path, socket_file: Path, *, answer_seconds: float = _ANSWER_SECONDS) -> None:
        self._folder = folder
        self._socket = socket_file
        self._answer_seconds = answer_seconds

    def pid(self) -> int | None:
        """Returns the process number of the running supervisor, or None.

        Raises:
            SupervisorFailed: one is there and does not answer.
        """
        try:
            return int(self._ask("getPID"))
        except (FileNotFoundError, ConnectionError):
            return None

    def start(self) -> int:
        """Starts supervisor, with no program yet, and returns its process number. None may be running.

        Raises:
            FolderUnusable: SLUICE_HOME has a name that cannot be written down.
            SupervisorFailed: it does not come up; with its own words.
        """
        self._configure(())
        (self._folder / LOGS).mkdir(parents=True, exist_ok=True)
        make_socket_folder(self._socket)
        self._socket.unlink(missing_ok=True)
        command = (
            sys.executable, "-m", "supervisor.supervisord",
            "--configuration", str(self._folder / configuration.FILE),
        )  # fmt: skip
        try:
            # It goes into the background by itself, once its socket is open.
            started = subprocess.run(  # noqa: S603 - our own command
                command,
                env={**os.environ, MARK: str(self._folder)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_STARTED_SECONDS,
            )
        except subprocess.TimeoutExpired as exc:
            raise SupervisorFailed("supervisor did not start in time.", next_step=self._next()) from exc
        if started.returncode != 0:
            words = (started.stderr or started.stdout).strip().splitlines() or ["without a word"]
            raise SupervisorFailed(f"supervisor did not start: {words[0]}", next_step=self._next())
        deadline = time.monotonic() + _STARTED_SECONDS
        while time.monotonic() < deadline:
            pid = self.pid()
            if pid is not None:
                return pid
            time.sleep(_POLL_SECONDS)
        raise SupervisorFailed("supervisor started and does not answer.", next_step=self._next())

    def update(self, programs: Sequence[Program]) -> None:
        """Makes the running supervisor keep `programs`, and nothing else.

        What changed is restarted, what is new or was given up is started, the rest is not touched.

        Raises:
            FolderUnusable: a program cannot be written down.
            SupervisorFailed: supervisor does not do it.
        """
        self._configure(programs)
        _, changed, removed = self._ask("reloadConfig")[0]
        for name in (*removed, *changed):
            self._end(name)
            self._ask("removeProcessGroup", name)
        known = {process.name: process for process in self.processes()}
        for program in sorted(programs, key=lambda each: each.priority):
            if program.name not in known:
                self._ask("addProcessGroup", program.name)
            elif known[program.name].given_up:
                self._ask("startProcess", program.name, False)

    def processes(self) -> list[Process]:
        """Returns what is known of each program; nothing if supervisor does not run."""
        try:
            return [_process(found) for found in self._ask("getAllProcessInfo")]
        except (FileNotFoundError, ConnectionError):
            return []

    def restarts(self) -> dict[str, int]:
        """Returns how often each program ended by itself since supervisor was started, by name.

        supervisor tells it in its log only, which it rotates: of very many the oldest are forgotten.
        """
        counts: dict[str, int] = {}
        try:
            lines = (self._folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return counts
        for line in lines:
            if " supervisord started with pid " in line:
                counts.clear()
            elif (ended := re.search(r" exited: ([a-z0-9-]+) \(", line)) is not None:
                counts[ended[1]] = counts.get(ended[1], 0) + 1
        return counts

    def stop(self) -> None:
        """Ends supervisor and every process that works for the folder, also when supervisor was killed.

        Raises:
            SupervisorFailed: something is still there; it is named.
        """
        try:
            pid = self.pid()
            if pid is not None:
                self._ask("stopAllProcesses", False)
                self._ask("shutdown")
                leftovers.wait(pid, _STOPPED_SECONDS)
        except (FileNotFoundError, ConnectionError, SupervisorFailed):
            pass  # It is on its way out, or hangs: whatever is there is ended below.
        remaining = leftovers.end(self._folder)
        if remaining:
            numbers = ", ".join(str(process.pid) for process in remaining)
            raise SupervisorFailed(
                f"These processes cannot be ended: {numbers}.", next_step="End them, then: sluice down"
            )
        self._socket.unlink(missing_ok=True)
        (self._folder / PID_FILE).unlink(missing_ok=True)

    def _configure(self, programs: Sequence[Program]) -> None:
        text = configuration.rendered(self._folder, self._socket, programs)
        write_text(self._folder / configuration.FILE, text)

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            return rpc.ask(self._socket, self._answer_seconds, f"supervisor.{method}", *arguments)
        except (xmlrpc.client.Error, TimeoutError, http.client.HTTPException) as exc:
            if isinstance(exc, ConnectionError):  # a closed connection is both to http.client
                raise
            raise SupervisorFailed(
                f"supervisor does not do {method}: {getattr(exc, 'faultString', type(exc).__name__)}",
                next_step=self._next(),
            ) from exc

    def _end(self, name: str) -> None:
        """Ends a program and waits for it."""
        deadline = time.monotonic() + _STOPPED_SECONDS
        asked = False
        while time.monotonic() < deadline:
            found = next((process for process in self.processes() if process.name == name), None)
            if found is None or found.given_up:
                return
            if not asked:
                self._ask("stopProcess", name, False)
                asked = True
            time.sleep(_POLL_SECONDS)
        raise SupervisorFailed(f"{name} does not end.", next_step="sluice down, then sluice up")

    def _next(self) -> str:
        return f"Read {self._folder / LOG}, then: sluice down and sluice up"


def _process(found: Any) -> Process:
    pid = int(found["pid"]) or None
    return Process(
        name=found["name"],
        state=found["statename"],
        pid=pid,
        since=datetime.fromtimestamp(found["start"], UTC) if pid else None,
        told=found["spawnerr"] or ("" if pid else found["description"]),
    )
