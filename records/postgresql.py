"""A real PostgreSQL for one test run or one measurement: the server of the `pgserver` wheel.

The wheel's own Python is not used: it makes a system user, opens up the permissions of every folder above the
data, and stops the server in an exit handler. Here the server is a child process that its maker stops.
"""

import asyncio
import importlib.metadata
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import asyncpg

from records.errors import RecordsUnavailable

START_SECONDS: Final = 60
STOP_SECONDS: Final = 20
UNPRIVILEGED: Final = "nobody"
"""PostgreSQL refuses to run as root; a root process starts it as this user."""


def binaries() -> Path | None:
    """Returns the folder of PostgreSQL's programs in the `pgserver` wheel, or None without the wheel."""
    try:
        files = importlib.metadata.files("pgserver") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())).parent for file in files if file.match("bin/postgres")), None)


class Postgresql:
    """A server on 127.0.0.1, with its data below `folder`; user `postgres`, no password."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._folder = folder
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._programs = _reachable(programs, folder) if self._user else programs
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    def url(self, database: str = "postgres") -> str:
        """Returns the address of `database` for RECORDS_URL."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        """Makes the data folder."""
        self._data.mkdir()
        if self._user is not None:
            shutil.chown(self._data, self._user)
        subprocess.run(  # noqa: S603 - the wheel's own program
            [
                *(self._programs / "initdb", "-D", self._data, "-U", "postgres"),
                *("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"),
            ],
            user=self._user,
            cwd=self._folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        """Starts the server and returns when it answers; after a stop, on the same port and data.

        Raises:
            RecordsUnavailable: it ended, or did not answer within a minute; the message shows the log.
        """
        log = self._folder / "postgresql.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the wheel's own program
                [
                    *(self._programs / "postgres", "-D", self._data, "-h", "127.0.0.1", "-p", str(self.port)),
                    *("-k", ""),  # no socket file
                    "-F",  # no fsync: the folder does not outlive the process
                ],
                user=self._user,
                cwd=self._folder,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if asyncio.run(_answers(self.port)):
                return
            time.sleep(0.05)
        self.stop()
        raise RecordsUnavailable(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops the server: SIGINT breaks its connections and shuts down, SIGQUIT is a crash."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def temporary() -> Iterator[Postgresql]:
    """Yields a running server of its own; stops it and removes its data at the end.

    Call it outside of an event loop. Raises:
        RecordsUnavailable: the `pgserver` wheel is not installed, or the server does not start.
    """
    programs = binaries()
    if programs is None:
        raise RecordsUnavailable(
            "There is no PostgreSQL here to start.",
            next_step="Run `make setup`: it installs the pgserver wheel.",
        )
    with tempfile.TemporaryDirectory(prefix="sluice-postgresql-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the unprivileged user passes through it; the data itself is its own, 0700
        server = Postgresql(programs, folder)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _reachable(programs: Path, folder: Path) -> Path:
    """Returns `programs`, or a copy below `folder` if the unprivileged user cannot reach them."""
    user = pwd.getpwnam(UNPRIVILEGED)
    test = subprocess.run(  # noqa: S603 - a fixed program
        ["/usr/bin/test", "-x", programs / "postgres"],
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        check=False,
        cwd="/",
    )
    if test.returncode == 0:
        return programs
    # The programs find their libraries by this layout: <site>/pgserver/pginstall/bin, <site>/pgserver.libs.
    site = programs.parents[2]
    copy = folder / "site"
    for part in ("pgserver/pginstall", "pgserver.libs"):
        shutil.copytree(site / part, copy / part, symlinks=True)
    return copy / programs.relative_to(site)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _answers(port: int) -> bool:
    try:
        connection = await asyncpg.connect(host="127.0.0.1", port=port, user="postgres", timeout=5)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True
