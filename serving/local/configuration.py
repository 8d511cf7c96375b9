"""supervisor's configuration file, as far as it is used here.

Errors::

    UsageError
    └── FolderUnusable   400  a path or a variable holds what the file cannot hold
"""

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kit.errors import UsageError
from serving.local.state import Program

FILE: Final = "supervisord.conf"
LOG: Final = "supervisord.log"
PID_FILE: Final = "supervisord.pid"
LOGS: Final = "logs"
"""The folder of the programs' own logs."""
START_SECONDS: Final = 3
"""A program that ends sooner has failed to start, and is started again after a pause."""
START_RETRIES: Final = 8
"""Starts in a row that may fail, with pauses of 1, 2, 3, … seconds, before a program is left alone."""

_UNUSABLE: Final = re.compile(r'["%\x00-\x1f\x7f]|\s[;#]')


class FolderUnusable(UsageError):
    """A path or a variable cannot be written into supervisor's configuration."""

    code = "folder_unusable"
    title = "The name of a folder cannot be used"


def log_file(folder: Path, program: str) -> Path:
    """Returns where what `program` says is kept, the newest part of it."""
    return folder / LOGS / f"{program}.log"


def rendered(folder: Path, socket_file: Path, programs: Iterable[Program]) -> str:
    """Returns the text of the file: one supervisor for `folder` that keeps `programs`.

    Raises:
        FolderUnusable: something cannot be written down.
    """
    lines = [
        "[unix_http_server]",
        f"file = {_written(str(socket_file))}",
        "chmod = 0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisord]",
        f"directory = {_written(str(folder))}",
        f"logfile = {_written(str(folder / LOG))}",
        "logfile_maxbytes = 5MB",
        "logfile_backups = 1",
        f"pidfile = {_written(str(folder / PID_FILE))}",
        "nocleanup = true",
        "strip_ansi = true",
        # Says that root is meant: without it supervisor warns of itself.
        *(["user = root"] if os.getuid() == 0 else []),
    ]
    for program in programs:
        lines += [
            f"[program:{program.name}]",
            f"command = {_written(shlex.join(program.command))}",
            f"environment = {_variables(program.variables)}",
            f"priority = {program.priority}",
            "autorestart = true",
            f"startsecs = {START_SECONDS}",
            f"startretries = {START_RETRIES}",
            f"stopwaitsecs = {program.stop_seconds}",
            f"stopasgroup = {str(program.stop_group).lower()}",
            "killasgroup = true",
            "redirect_stderr = true",
            f"stdout_logfile = {_written(str(log_file(folder, program.name)))}",
            "stdout_logfile_maxbytes = 10MB",
            "stdout_logfile_backups = 2",
        ]
    return "\n".join(lines) + "\n"


def _variables(variables: dict[str, str]) -> str:
    return ",".join(f'{name}="{_written(value)}"' for name, value in sorted(variables.items()))


def _written(text: str) -> str:
    if _UNUSABLE.search(text):
        raise FolderUnusable(
            f"{text!r} holds a double quote, a percent sign, a control character, or a blank before ; or #, "
            "which supervisor's configuration cannot hold.",
            next_step="Set SLUICE_HOME to a folder with a plainer name.",
        )
    return text
