"""The spool keeps rows in order, through a restart, a torn end, a full disk and a second process."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.memory.rows import row
from gateway.memory.spool import Fsync, Spool
from records.repositories.predictions import NewPrediction
from tests.gateway.memory.answers import answered

ROWS = [row(answered(number)) for number in range(400)]


def spool(path: Path, *, max_bytes: int = 1 << 30, fsync: Fsync = "interval") -> Spool:
    """Returns an opened spool."""
    opened = Spool(path, max_bytes=max_bytes, fsync=fsync, fsync_seconds=0.2)
    opened.open()
    return opened


def drained(source: Spool, limit: int = 64) -> tuple[list[NewPrediction], int]:
    """Returns everything that waits, forgotten, and how much of it was unreadable."""
    found: list[NewPrediction] = []
    unreadable = 0
    while (waiting := source.read(limit)) is not None:
        found += waiting.rows
        unreadable += waiting.unreadable
        source.forget(waiting)
    assert source.bytes == 0
    return found, unreadable


def segments(path: Path) -> list[Path]:
    """Returns the files of rows below `path`."""
    return sorted(path.rglob("*.segment"))


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_rows_come_out_once_and_in_order_while_others_go_in(tmp_path: Path, fsync: Fsync) -> None:
    """Over several segments; what is forgotten leaves the disk."""
    made = spool(tmp_path, max_bytes=1 << 19, fsync=fsync)
    assert made.append(ROWS[:200]) == 200
    first = made.read(150)
    assert first is not None
    assert first.rows == ROWS[:150]
    assert made.append(ROWS[200:]) == 200
    made.forget(first)
    assert len(segments(tmp_path)) > 1
    assert drained(made) == (ROWS[150:], 0)
    assert made.append(ROWS[:1]) == 1
    assert drained(made) == (ROWS[:1], 0)
    made.close()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"], "nothing waits, so no folder is left"


def test_what_was_not_forgotten_is_there_after_a_restart(tmp_path: Path) -> None:
    """Also what was read; the folder goes when it is empty."""
    before = spool(tmp_path)
    before.append(ROWS[:100])
    assert before.read(10) is not None
    before.close()
    after = spool(tmp_path)
    after.append(ROWS[100:120])
    assert drained(after) == (ROWS[:120], 0)
    after.close()
    again = spool(tmp_path)
    assert again.read(10) is None
    again.close()
    assert segments(tmp_path) == []


def test_two_spools_in_one_place_share_nothing(tmp_path: Path) -> None:
    """Each has its folder, and nobody takes over what is in use."""
    one, two = spool(tmp_path), spool(tmp_path)
    one.append(ROWS[:5])
    two.append(ROWS[5:9])
    one.take_over()
    two.take_over()
    assert drained(two) == (ROWS[5:9], 0)
    assert drained(one) == (ROWS[:5], 0)
    one.close()
    two.close()


def test_a_torn_end_costs_the_torn_row_only(tmp_path: Path) -> None:
    """As a machine leaves it that dies in the middle of a write; and a damaged block costs its rows."""
    for cut in (1, 50, 700):
        made = spool(tmp_path)
        made.append(ROWS[:10])
        made.close()
        (file,) = segments(tmp_path)
        file.write_bytes(file.read_bytes()[:-cut])
        again = spool(tmp_path)
        assert drained(again) == (ROWS[:9], 1)
        again.close()
    made = spool(tmp_path)
    made.append(ROWS[:10])
    made.close()
    (file,) = segments(tmp_path)
    data = bytearray(file.read_bytes())
    data[1000:3000] = bytes(2000)
    file.write_bytes(data)
    found, unreadable = drained(again := spool(tmp_path))
    assert unreadable == 1, "zeros have no line feed: what they cover is one line"
    assert [r.request_id for r in found] == [r.request_id for r in ROWS[:10] if r in found]
    assert 6 <= len(found) < 10
    again.close()


def test_a_segment_of_something_else_is_passed_over(tmp_path: Path) -> None:
    """A megabyte of a single line, and nothing at all."""
    made = spool(tmp_path)
    made.append(ROWS[:3])
    made.close()
    (file,) = segments(tmp_path)
    file.with_name("0.segment").write_bytes(b"x" * (5 << 19))
    file.with_name("1.segment").write_bytes(b"")
    found, unreadable = drained(again := spool(tmp_path))
    assert (found, unreadable) == (ROWS[:3], 3)
    again.close()
    assert segments(tmp_path) == []


def test_a_full_spool_takes_what_fits_and_warns_before(tmp_path: Path) -> None:
    """At 80 percent, once; the limit is never passed; room that becomes free is used."""
    made = spool(tmp_path, max_bytes=1 << 16)
    taken, warned_at = 0, 0
    with capture_logs() as logs:
        while made.append([ROWS[taken]]) == 1:
            taken += 1
            warned_at = warned_at or (taken if logs else 0)
    assert [entry["event"] for entry in logs] == ["spool_nearly_full"]
    assert 0 < warned_at < taken
    assert made.append(ROWS[taken : taken + 50]) == 0
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= 1 << 16
    waiting = made.read(40)
    assert waiting is not None
    made.forget(waiting)
    more = made.append(ROWS[taken:])
    assert 0 < more < 50
    assert waiting.rows + drained(made)[0] == ROWS[: taken + more]
    made.close()


def test_a_full_disk_takes_nothing_of_a_group_and_goes_on_with_room(tiny_disk: Path) -> None:
    """What was there stays whole."""
    made = spool(tiny_disk / "spool")
    ballast = tiny_disk / "ballast"
    made.append(ROWS[:10])
    with ballast.open("wb") as file, pytest.raises(OSError, match="No space") as full:
        file.write(bytes(4 << 20))
    assert full.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="No space"):
        made.append(ROWS[10:])
    ballast.unlink()
    assert made.append(ROWS[10:20]) == 10
    assert drained(made) == (ROWS[:20], 0)
    made.close()


def test_a_place_where_nothing_can_be_made_is_an_os_error(tmp_path: Path) -> None:
    """And rows can be added as soon as it is mended."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    made = Spool(blocked / "spool", max_bytes=1 << 20, fsync="interval", fsync_seconds=1)
    for attempt in (made.open, lambda: made.append(ROWS[:1])):
        with pytest.raises(OSError, match=r"Not a directory|File exists"):
            attempt()
    blocked.unlink()
    assert made.append(ROWS[:1]) == 1
    assert drained(made) == (ROWS[:1], 0)
    made.close()


LIMITED = """
import resource, sys
from pathlib import Path
from tests.gateway.memory.test_spool import ROWS, spool
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
made = spool(Path(sys.argv[1]), fsync="always")
kept = 0
for start in range(0, 40, 4):
    try:
        kept += made.append(ROWS[start:start + 4])
    except OSError as error:
        sys.stdout.write(f"{kept} {error.errno}")
        sys.stdout.flush()
        break
import os
os._exit(0)
"""


def test_a_write_that_ends_half_way_leaves_whole_groups(tmp_path: Path) -> None:
    """The system takes a part of a write and refuses the rest; the part is taken back."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        check=True,
    )
    kept, number = map(int, done.stdout.split())
    assert number == errno.EFBIG
    assert kept > 0
    after = spool(tmp_path)
    assert drained(after) == (ROWS[:kept], 0)
    after.close()
