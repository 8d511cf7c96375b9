"""An output is finished, or it says that it is not; and it is never taken for another."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.settings import FeatureRepoSettings
from kit.bundle import Bundle
from kit.errors import UsageError
from kit.files import Locked, locked
from kit.home import Home
from serving.batch.errors import InputChanged, OutputDiffers, OutputTaken, PartsFailed, ScoringStopped
from serving.batch.output import LOCK, MANIFEST, attempted, part_name
from serving.batch.run import Request, score
from serving.batch.source import source
from serving.batch.worker import Failure, Job, PartWorker
from serving.settings import ServingSettings
from tests.serving.batch.inputs import answers, messages, parquet, scored
from tests.serving.batch.test_parts import limits


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Twenty messages."""
    return parquet(tmp_path / "rows.parquet", messages(20))


def test_a_finished_output_says_so_and_its_counts_add_up(rows: Path, tmp_path: Path, mails_1: Bundle) -> None:
    """The manifest holds what was asked for, the counts, and a hash of each file."""
    told: list[int] = []
    scored(rows, tmp_path / "out", mails_1, planned=told.append, on_part=told.append)
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["status"] == "finished"
    assert manifest["request"]["bundle_digest"] == mails_1.digest
    counts = manifest["counts"]
    assert counts["rows"] == counts["scored"] == sum(counts["verdicts"].values()) == 20
    assert list(manifest["files"]) == [part_name(0)]
    assert told == [20, 20]


def test_an_output_that_is_there_is_left_alone_unless_it_is_resumed(
    rows: Path, tmp_path: Path, mails_1: Bundle
) -> None:
    """Resumed, a finished one is not written again; a changed one is refused."""
    out = tmp_path / "out"
    scored(rows, out, mails_1)
    written = (out / part_name(0)).stat().st_mtime_ns
    with pytest.raises(OutputTaken, match="a finished output"):
        scored(rows, out, mails_1)
    again = scored(rows, out, mails_1, resume=True)
    assert (again.parts_before, again.manifest.status) == (1, "finished")
    assert (out / part_name(0)).stat().st_mtime_ns == written
    (out / part_name(0)).write_bytes(b"PAR1")
    with pytest.raises(OutputDiffers, match=r"part-00000\.parquet .* not any more what was written"):
        scored(rows, out, mails_1, resume=True)


def test_a_folder_with_something_else_in_it_is_refused(rows: Path, tmp_path: Path, mails_1: Bundle) -> None:
    """Nothing of it is touched, resumed or not."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    for resume in (False, True):
        with pytest.raises(OutputTaken, match="not empty"):
            scored(rows, out, mails_1, resume=resume)
    (out / MANIFEST).write_text("{}")
    with pytest.raises(OutputTaken, match="not a manifest"):
        scored(rows, out, mails_1, resume=True)
    assert (out / "thesis.tex").read_text() == "x"


def test_another_input_version_or_option_is_refused_by_name(
    rows: Path, tmp_path: Path, mails_1: Bundle, mails_2: Bundle
) -> None:
    """What was begun for one thing is not gone on with for another."""
    out = tmp_path / "out"
    with pytest.raises(ScoringStopped, match="1 of 1 parts"):
        scored(rows, out, mails_1, on_part=stop)
    for change, bundle, names in (
        ({"version": "2"}, mails_2, "bundle_digest was .*version was 1 and is 2"),
        ({"part_rows": 7}, mails_1, "part_rows was 1000 and is 7"),
        ({"id_column": "other"}, mails_1, "id_column was id and is other"),
        ({"path": parquet(tmp_path / "b.parquet", messages(20))}, mails_1, "input was"),
    ):
        options = {"path": rows} | change
        with pytest.raises(OutputDiffers, match=names):
            scored(out=out, bundle=bundle, resume=True, **options)
    assert scored(rows, out, mails_1, resume=True).manifest.counts["rows"] == 20


def stop(_rows: int) -> None:
    """Is Ctrl-C after a part."""
    raise KeyboardInterrupt


def test_a_part_that_is_not_whole_is_made_again(
    rows: Path, tmp_path: Path, mails_1: Bundle, mails_2: Bundle
) -> None:
    """A damaged file, one of another output, and what a killed writer left beside it."""
    out, other = tmp_path / "out", tmp_path / "other"
    scored(rows, other, mails_2)
    for damaged in (b"PAR1", (other / part_name(0)).read_bytes()):
        with pytest.raises(ScoringStopped):
            scored(rows, out, mails_1, on_part=stop)
        (out / part_name(0)).write_bytes(damaged)
        (out / ".part-00000.parquet.x1.part").write_bytes(b"half")
        resumed = scored(rows, out, mails_1, resume=True)
        assert resumed.parts_before == 0
        assert not list(out.glob(".part-*"))
        assert [row["id"] for row in answers(out)] == [f"m{at}" for at in range(20)]
        shutil.rmtree(out)


def test_input_that_changes_while_it_is_scored_never_ends_finished(
    rows: Path, tmp_path: Path, mails_1: Bundle
) -> None:
    """The answers would be of two inputs."""

    def change(_rows: int) -> None:
        parquet(rows, messages(20))

    with pytest.raises(InputChanged, match="was written to"):
        scored(rows, tmp_path / "out", mails_1, on_part=change)
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["status"] == "unfinished"


def test_two_scorings_into_one_folder_one_is_refused(rows: Path, tmp_path: Path, mails_1: Bundle) -> None:
    """The first one holds the lock."""
    out = tmp_path / "out"
    with locked(out / LOCK, what="A test"), pytest.raises(Locked, match="Scoring into"):
        scored(rows, out, mails_1)


def test_output_and_input_must_not_lie_in_one_another(rows: Path, mails_1: Bundle) -> None:
    """The output would be scored next time."""
    with pytest.raises(UsageError, match="in one another"):
        scored(rows.parent, rows.parent / "out", mails_1)


def test_a_part_that_ends_its_process_again_and_again_ends_the_scoring(
    rows: Path, tmp_path: Path, mails_1: Bundle
) -> None:
    """Ray alone would begin it without end; whoever dies has counted before."""
    told = limits(mails_1)
    job = Job(
        home=tmp_path / "home",
        out=tmp_path,
        model="m",
        version="1",
        bundle=mails_1.folder,
        bundle_digest=mails_1.digest,
        limits=told,
        reader=FeatureRepoSettings(),
        history_at=None,
        mark="mark",
    )
    assert [attempted(tmp_path, 0) for _ in range(3)] == [1, 2, 3]
    result = PartWorker(job).result(0, source(rows).parts(told, 100)[0])
    assert isinstance(result, Failure)
    assert "ended 3 processes" in result.message


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ("/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)),
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a tmpfs")
    yield folder
    subprocess.run(("/bin/umount", "-l", str(folder)), check=True)


def test_a_disk_that_fills_is_a_sentence_and_the_rest_can_go_on(
    tiny_disk: Path, tmp_path: Path, mails_1: Bundle
) -> None:
    """No half of a part is left; with room, the scoring goes on."""
    rows, filler = parquet(tmp_path / "rows.parquet", messages(600)), tiny_disk / "filler"
    filler.write_bytes(bytes(44_000))
    with pytest.raises(PartsFailed, match="No space left on device") as caught:
        scored(rows, tiny_disk / "out", mails_1)
    assert "--resume" in str(caught.value.next_step)
    assert not list((tiny_disk / "out").glob("*.parquet"))
    filler.unlink()
    assert scored(rows, tiny_disk / "out", mails_1, resume=True).manifest.counts["rows"] == 600


def test_a_sender_s_history_is_that_of_the_instant_in_the_manifest(
    rows: Path, tmp_path: Path, mails_1: Bundle
) -> None:
    """The store of a home is asked as online; one that was never set up is an error and no default."""
    import pandas as pd

    from feature_repo import online_rows
    from feature_repo.offline_files import SIDES
    from feature_repo.sources import TIMESTAMP
    from feature_repo.store import apply, open_store

    reader, home = FeatureRepoSettings(), Home(tmp_path / "home")
    request = Request(path=rows, out=tmp_path / "out", model="spam-detector", version="1")
    together = {"serving": ServingSettings(), "reader": reader}
    with pytest.raises(PartsFailed, match="sender feature store"):
        score(home, request, mails_1, **together)  # type: ignore[arg-type]
    store = open_store(home, reader)
    apply(store)
    for side in SIDES:
        key = "p3@d3.example" if side.key == "sender" else "d3.example"
        numbers = {feature.name: [1.0 if feature.dtype == "share" else 9] for feature in side.columns}
        known = pd.DataFrame({side.entity: [key], TIMESTAMP: [pd.Timestamp(datetime.now(UTC))], **numbers})
        online_rows.write(store, side, known)
    known_at = Request(path=rows, out=tmp_path / "out", model="spam-detector", version="1", resume=True)
    outcome = score(home, known_at, mails_1, **together)  # type: ignore[arg-type]
    assert outcome.manifest.counts["known_senders"] == 3  # d3.example, of whom one is the sender
    with_history = answers(tmp_path / "out")
    assert {row["history_at"] for row in with_history} == {outcome.manifest.history_at}
    scored(rows, tmp_path / "plain", mails_1)
    pairs = zip(with_history, answers(tmp_path / "plain"), strict=True)
    assert [a["id"] for a, b in pairs if a["probability"] != b["probability"]] == ["m3", "m10", "m17"]
