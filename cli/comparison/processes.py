"""Programs that are measured: started, waited for, held still, and ended with all that they started."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import psutil

from kit.errors import OperationalError

_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.1
_LOG_END_BYTES: Final = 1500
_OURS: Final = ("GATEWAY_", "TRANSFORMER_", "RECORDS_", "FEATURES_", "SLUICE_", "SERVING_")


class NotStarted(OperationalError):
    """A program ended, or was not ready in time; the end of its log is told."""

    code = "not_started"
    title = "A measured program did not start"


@contextlib.contextmanager
def started(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    ready: Callable[[], bool],
    *,
    seconds: float,
) -> Iterator[int]:
    """Yields the process id of a program that is ready; then ends it and every process below it.

    It gets none of this process' own settings, so that what is measured is what is written down.

    Raises:
        NotStarted: it ended, or was not ready within `seconds`.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    with log.open("wb") as target:
        process = subprocess.Popen(  # noqa: S603 - our own programs and the peers'
            command,
            env={**inherited, **environment},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=target,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                how = "ended" if process.poll() is not None else f"was not ready within {seconds:.0f} s"
                raise NotStarted(f"{' '.join(command[:4])} {how}. Its log ends:\n{_end(log)}")
            time.sleep(_POLL_SECONDS)
        yield process.pid
    finally:
        _stop(process)


def family(pid: int) -> list[psutil.Process]:
    """Returns the processes that are `pid` or below it; none if it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pids: Sequence[int]) -> float:
    """Returns the processor time that the programs have used until now, with those below them."""
    used = 0.0
    for process in (each for pid in pids for each in family(pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used


def memory_bytes(pids: Sequence[int]) -> int:
    """Returns the memory of the programs and those below them; what several share is counted once."""
    held = 0
    for process in (each for pid in pids for each in family(pid)):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            held += process.memory_full_info().pss
    return held


@contextlib.contextmanager
def held_still(pid: int) -> Iterator[None]:
    """Holds a program and those below it still, so that it takes no time from others."""
    _signal(family(pid), signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(family(pid), signal.SIGCONT)


@contextlib.contextmanager
def ended_cleanly() -> Iterator[None]:
    """Turns SIGTERM into an exception while it lasts, so that what was started is ended."""

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    members = family(process.pid)
    _signal(members, signal.SIGCONT)
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    remaining = [*members, *family(process.pid)]
    _signal(remaining, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(remaining, timeout=_STOP_SECONDS)


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _end(log: Path) -> str:
    return log.read_bytes()[-_LOG_END_BYTES:].decode("utf-8", "replace").strip() or "(nothing)"
