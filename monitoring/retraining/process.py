"""The pipeline's public command as a detached process, and what it left behind.

It runs in a session of its own: it goes on when this process ends. Its one JSON document and its log lie in
SLUICE_HOME/monitoring/retraining, named after the run.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from kit.home import Home
from monitoring.retraining.slot import folder
from monitoring.settings import MonitoringSettings

SLUICE: Final = (sys.executable, "-c", "from cli.main import main; main()")
"""The command `sluice` of this very installation; the package cli is not imported here."""
_OURS: Final = "MONITORING_"
"""Variables that hold secrets of ours and are no business of a pipeline."""


class Left(NamedTuple):
    """What a process left behind."""

    document: dict[str, Any]
    """What it printed: a summary or a problem; empty if it printed nothing whole."""
    spoke: bool
    """Whether it said anything at all."""
    log: Path


def command(settings: MonitoringSettings, how: str, model: str, run: UUID, reason: str) -> tuple[str, ...]:
    """Returns the words of the command that trains `model`; everything that is told is one word of it."""
    verb = "submit" if how == "kubeflow" else "run"
    return (
        *SLUICE,
        "pipeline",
        verb,
        f"--workload={model}",
        "--trigger=drift",
        f"--reason={reason}",
        f"--announced={run}",
        "--json",
        *settings.retraining_arguments,
    )


def start(home: Home, words: tuple[str, ...], run: UUID, lock: int) -> int:
    """Starts the command with the slot's open `lock` file, and returns its process number.

    Raises:
        OSError: the process could not be made.
    """
    result, log = _files(home, run)
    with result.open("wb") as out, log.open("wb") as err:
        process = subprocess.Popen(  # noqa: S603 - our own command, without a shell
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment(home),
            pass_fds=(lock,),
            start_new_session=True,
        )
    # Somebody must take note of its end while this process lives; nobody waits for it.
    threading.Thread(target=process.wait, name=f"retraining-{run}", daemon=True).start()
    return process.pid


def environment(home: Home) -> Mapping[str, str]:
    """Returns the variables of a process that works in `home`, without our secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | {"SLUICE_HOME": str(home.root), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def left(home: Home, run: UUID) -> Left:
    """Returns what the process of `run` left behind; nothing, if it never began."""
    result, log = _files(home, run)
    text = _read(result)
    try:
        document = json.loads(text)
    except ValueError:
        document = {}
    return Left(document if isinstance(document, dict) else {}, bool(text or _read(log)), log)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _files(home: Home, run: UUID) -> tuple[Path, Path]:
    return folder(home) / f"{run}.json", folder(home) / f"{run}.log"
