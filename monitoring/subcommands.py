"""Heavy work in a process of its own: pages stay fast, and its memory goes when it ends.

The drift job imports SciPy and draws with Evidently, the ingest of features imports Feast; here neither is
imported. What the command logs goes where this process logs to.
"""

import asyncio
import contextlib
import json
import os
from typing import Any, Final, NamedTuple

from kit.errors import ExitCode, OperationalError
from kit.home import Home
from monitoring.retraining.process import SLUICE

LIMIT_SECONDS: Final = 3600.0
"""A command that takes longer hangs."""
END_SECONDS: Final = 5.0
"""After SIGTERM; then it is killed."""
_NICE: Final = 10
"""Whoever asks for a page or a verdict goes first."""


class CommandFailed(OperationalError):
    """A command could not be started, or did not come to its end in time."""

    code = "command_failed"
    title = "A command did not run to its end"


class Ended(NamedTuple):
    """How a command ended, and the document that it printed; empty if it printed none."""

    code: int
    document: dict[str, Any]


async def sluice(home: Home, *words: str, limit_seconds: float = LIMIT_SECONDS) -> Ended:
    """Runs `sluice WORDS --json` for `home` and returns how it ended; cancelled, the command is ended too.

    Raises:
        CommandFailed: it cannot be started, or took longer than `limit_seconds`.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *SLUICE,
            *words,
            "--json",
            env={**os.environ, "SLUICE_HOME": os.fspath(home.root)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C in a terminal goes to this process, which lets a run end first.
            start_new_session=True,
        )
    except OSError as exc:
        raise CommandFailed(f"sluice {' '.join(words)} cannot be started: {exc.strerror}.") from exc
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
    try:
        async with asyncio.timeout(limit_seconds):
            printed, _ = await process.communicate()
    except TimeoutError:
        raise CommandFailed(
            f"sluice {' '.join(words)} took longer than {limit_seconds:g} s and was ended."
        ) from None
    finally:
        await _ended(process)
    return Ended(process.returncode or ExitCode.DONE, _document(printed))


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _document(printed: bytes) -> dict[str, Any]:
    try:
        found = json.loads(printed)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
