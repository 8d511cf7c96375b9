"""A real PostgreSQL for one test run or one measurement: the server of the `pgserver` wheel.

The wheel's own Python is not used: it makes a system user, opens up the permissions of every folder above the
data, and stops the server in an exit handler. Here the server is a child process that its maker stops.
"""

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
        self._log = folder / "postgresql.log"
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
        self._must_run(
            *("initdb", "-D", str(self._data), "-U", "postgres"),
            *("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"),
        )

    def create_database(self, name: str) -> str:
        """Makes the database `name` and returns its address."""
        self._must_run("createdb", *self._connection, name)
        return self.url(name)

    def execute(self, database: str, sql: str) -> None:
        """Runs `sql` in `database` as the superuser, in one transaction."""
        self._must_run("psql", *self._connection, "-q", "-1", "-v", "ON_ERROR_STOP=1", "-c", sql, database)

    def drop_database(self, name: str) -> None:
        """Removes the database `name` and breaks its connections."""
        self._must_run("dropdb", *self._connection, "--force", name)

    def start(self) -> None:
        """Starts the server and returns when it answers; after a stop, on the same port and data.

        Raises:
            RecordsUnavailable: it ended, or did not answer within a minute; the message shows the log.
        """
        with self._log.open("ab") as output:
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
            if self._run("pg_isready", "-q", *self._connection):
                return
            time.sleep(0.05)
        self.stop()
        raise RecordsUnavailable(f"PostgreSQL did not start:\n{self._log_end()}")

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

    @property
    def _connection(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")

    def _run(self, program: str, *arguments: str) -> bool:
        with self._log.open("ab") as output:
            done = subprocess.run(  # noqa: S603 - the wheel's own program
                [self._programs / program, *arguments],
                user=self._user,
                cwd=self._folder,
                check=False,
                stdout=output,
                stderr=output,
            )
        return done.returncode == 0

    def _must_run(self, program: str, *arguments: str) -> None:
        if not self._run(program, *arguments):
            raise RecordsUnavailable(f"{program} failed:\n{self._log_end()}")

    def _log_end(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


@contextmanager
def temporary() -> Iterator[Postgresql]:
    """Yields a running server of its own; stops it and removes its data at the end.

    Raises:
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
            server.stop(signal.SIGQUIT)  # at once: what it would still write goes with the folder


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
