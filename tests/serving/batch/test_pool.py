"""Many parts, on a real Ray: the same answers, whoever dies or leaves meanwhile."""

from pathlib import Path

import psutil
import pytest

from kit.bundle import Bundle
from kit.errors import UsageError
from serving.batch.errors import ScoringStopped
from serving.batch.output import part_name
from tests.serving.batch.inputs import answers, messages, parquet, scored

pytestmark = pytest.mark.xdist_group("ray")

ROWS = 90
PART_ROWS = 10


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Messages in one row group."""
    return parquet(tmp_path_factory.mktemp("in") / "rows.parquet", messages(ROWS))


@pytest.fixture(scope="module")
def whole(rows: Path, mails_1: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The answers of one process."""
    out = tmp_path_factory.mktemp("whole") / "out"
    scored(rows, out, mails_1)
    return answers(out)


def test_a_pool_stopped_in_the_middle_goes_on_and_answers_as_one_process(
    ray_session: None, rows: Path, whole: list[dict[str, object]], mails_1: Bundle, tmp_path: Path
) -> None:
    """Ctrl-C keeps the finished parts, which are not made again; the order is that of the input."""
    out, done = tmp_path / "out", []

    def leave(count: int) -> None:
        done.append(count)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(ScoringStopped, match="3 of 9 parts are done") as caught:
        scored(rows, out, mails_1, part_rows=PART_ROWS, concurrency=1, on_part=leave)
    assert "--resume" in str(caught.value.next_step)
    written = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    resumed = scored(rows, out, mails_1, part_rows=PART_ROWS, resume=True)
    assert resumed.parts_before >= 3
    assert sorted(path.name for path in out.glob("*.parquet")) == [part_name(number) for number in range(9)]
    assert {name: (out / name).stat().st_mtime_ns for name in list(written)[:3]}.items() <= written.items()
    assert answers(out) == whole
    assert not list(out.glob(".attempts-*"))


def test_a_process_of_the_pool_that_is_killed_costs_nothing_but_time(
    ray_session: None, rows: Path, whole: list[dict[str, object]], mails_1: Bundle, tmp_path: Path
) -> None:
    """As the system does when memory runs out."""
    killed: list[int] = []

    def kill(_rows: int) -> None:
        if not killed:
            workers = [
                each for each in psutil.Process().children(recursive=True) if "MapWorker" in each.name()
            ]
            for worker in workers:
                worker.kill()
                killed.append(worker.pid)

    outcome = scored(rows, tmp_path / "out", mails_1, part_rows=PART_ROWS, concurrency=1, on_part=kill)
    assert killed
    assert outcome.manifest.counts["rows"] == ROWS
    assert answers(tmp_path / "out") == whole


def test_what_a_part_cannot_be_scored_for_is_the_error_of_the_whole(
    ray_session: None, mails_1: Bundle, tmp_path: Path
) -> None:
    """A file that vanishes between plan and reading, in the words of the process that met it."""
    for at in range(3):
        parquet(tmp_path / "in" / f"{at}.parquet", messages(4))
    gone = tmp_path / "in" / "2.parquet"

    def remove(_rows: int) -> None:
        gone.unlink()

    with pytest.raises(Exception, match=r"2\.parquet is no readable Parquet file") as caught:
        scored(tmp_path / "in", tmp_path / "out", mails_1, part_rows=4, concurrency=1, planned=remove)
    assert "of 3 parts are done" in str(caught.value)


def test_more_processes_than_cpus_are_refused(
    ray_session: None, rows: Path, mails_1: Bundle, tmp_path: Path
) -> None:
    """They would wait for ever."""
    with pytest.raises(UsageError, match="3 processes are asked for"):
        scored(rows, tmp_path / "out", mails_1, part_rows=PART_ROWS, concurrency=3)
