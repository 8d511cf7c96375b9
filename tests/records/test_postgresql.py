"""The throw-away server runs where it must, and is gone after."""

import os
import socket
from pathlib import Path

import pytest

from records.errors import RecordsUnavailable
from records.postgresql import Postgresql, binaries, temporary
from tests.records.conftest import on_postgresql


@on_postgresql
def test_the_server_is_gone_after() -> None:
    """Its port answers nobody, and its folder is removed."""
    with temporary() as server:
        folder = server._folder
        with socket.create_connection(("127.0.0.1", server.port), timeout=5):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    assert not folder.exists()


@on_postgresql
@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
def test_root_copies_programs_that_the_servers_user_cannot_reach(tmp_path: Path) -> None:
    """A checkout below /root works: the user `nobody` gets a copy it can read."""
    programs = binaries()
    assert programs is not None
    site = tmp_path / "site"
    site.mkdir(mode=0o700)
    for part in ("pgserver", "pgserver.libs"):
        (site / part).symlink_to(programs.parents[2] / part)
    with temporary() as open_server:
        folder = open_server._folder / "other"
        folder.mkdir()
        folder.chmod(0o755)
        server = Postgresql(site / programs.relative_to(programs.parents[2]), folder)
        server.initialise()
        server.start()
        assert server.create_database("made").endswith("/made")
        server.stop()


@on_postgresql
def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The end of its log is in the error."""
    programs = binaries()
    assert programs is not None
    tmp_path.chmod(0o755)
    with pytest.raises(RecordsUnavailable, match=r"PostgreSQL did not start:(.|\n)*data"):
        Postgresql(programs, tmp_path).start()
