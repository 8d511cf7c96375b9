"""Files that are whole or absent, and locks between processes."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from kit.files import Locked, locked, replaced, sha256_of, write_text


def test_a_replaced_file_is_new_as_a_whole(tmp_path: Path) -> None:
    """The new content stands, and no temporary file is left."""
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "one")
    write_text(path, "två")
    assert path.read_text(encoding="utf-8") == "två"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_while_writing_leaves_the_former_file(tmp_path: Path) -> None:
    """Half a file never takes the place of a whole one."""
    path = tmp_path / "file.txt"
    write_text(path, "former")

    def write_half() -> None:
        with replaced(path) as part:
            part.write_text("half", encoding="utf-8")
            raise RuntimeError("disk is gone")

    with pytest.raises(RuntimeError, match="disk is gone"):
        write_half()
    assert path.read_text(encoding="utf-8") == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    """It reads in pieces, and the pieces add up."""
    content = b"sluice" * 500_000
    path = tmp_path / "file"
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()


HOLDER = """
import sys
from pathlib import Path
from kit.files import locked
with locked(Path(sys.argv[1]), what="the work"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_held_by_another_process_is_refused_and_freed_when_it_dies(tmp_path: Path) -> None:
    """The second process is told what is under way; a killed holder leaves nothing locked."""
    path = tmp_path / "lock"
    arguments = (sys.executable, "-c", HOLDER, str(path))
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Locked, match="the work is under way"), locked(path, what="the work"):
            pass
        holder.kill()
    with locked(path, what="the work"):
        assert path.exists()
