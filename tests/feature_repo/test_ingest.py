"""Predictions and feedback reach the sender history once, whenever they come and whoever dies on the way."""

import asyncio
import json
import shutil
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from contracts.features import NUMERIC_NAMES
from feature_repo.event_log import Recorded
from feature_repo.events import subject_sha256
from feature_repo.ingest import BEHIND, FILE, CursorsUnreadable, Ingested, ingest
from feature_repo.offline import historical_numbers
from feature_repo.online import SenderLookup
from feature_repo.settings import FeatureRepoSettings
from feature_repo.store import SenderStore, apply, open_store
from kit.errors import ExitCode
from kit.files import Locked, locked
from kit.home import Home
from records.engine import opened
from records.errors import SchemaBehind
from records.repositories import feedback, predictions
from records.repositories.feedback import NewFeedback
from tests.feature_repo.conftest import Dying, MakeStore
from tests.feature_repo.dying_ingests import NOW, SCENARIOS
from tests.records.conftest import migrated
from tests.records.rows import prediction

pytestmark = pytest.mark.xdist_group("feast")

ANN = "ann@example.org"
WEEK_AGO = NOW - timedelta(days=7)


@pytest.fixture(scope="module")
def empty_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("ingest") / "records.db"
    migrated(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def store(
    make_store: MakeStore, tmp_path: Path, empty_records: Path, monkeypatch: pytest.MonkeyPatch
) -> SenderStore:
    """An empty sender store, and empty records in the same home."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    shutil.copy(empty_records, tmp_path / "records.db")
    return make_store(applied=False)


def answer(number: int, **changed: Any) -> predictions.NewPrediction:
    """Returns a prediction on a message of Ann: each an hour after the last; odd ones have a link."""
    numbers = [0.0] * len(NUMERIC_NAMES)
    numbers[NUMERIC_NAMES.index("link_count")] = 3.0 * (number % 2)
    values = {
        "sender": ANN,
        "created_at": WEEK_AGO + timedelta(hours=number),
        "numeric": tuple(numbers),
        "subject_sha256": subject_sha256("hello"),
    }
    return prediction(number, **(values | changed))


def recorded(*rows: predictions.NewPrediction, at: datetime = WEEK_AGO) -> None:
    """Writes predictions as a gateway does."""

    async def run() -> None:
        async with opened() as memory, memory.transaction() as session:
            await predictions.insert_many(session, rows, recorded_at=at)

    asyncio.run(run())


def said(number: int, label: str, at: datetime = WEEK_AGO + timedelta(days=1)) -> None:
    """Writes feedback as a gateway does."""

    async def run() -> None:
        async with opened() as memory, memory.transaction() as session:
            new = NewFeedback(request_id=f"request-{number}", label=label, created_at=at)
            await feedback.submit(session, new, recorded_at=at)

    asyncio.run(run())


def numbers(store: SenderStore) -> NDArray[np.float32]:
    """Returns the 8 numbers of Ann that serving sees."""
    return SenderLookup(store, CollectorRegistry()).lookup([ANN], NOW).reshape(-1)


def counts(done: Ingested) -> tuple[int, int, Recorded]:
    """Returns what a run read, and what was new."""
    return done.predictions, done.feedback, done.events


def test_predictions_and_feedback_become_history_once(store: SenderStore) -> None:
    """Offline and online: counts, subjects, links, labels; a second run finds nothing."""
    recorded(answer(1), answer(2), answer(3, subject_sha256=subject_sha256("other")))
    said(1, "spam")
    said(2, "ham")
    assert counts(ingest(store, now=NOW, page=2)) == (3, 2, Recorded(3, 2))
    expected = np.array([3, 0.5, 2, 2 / 3, 2 / 24, 3, 0.5, 2 / 24], dtype=np.float32)
    np.testing.assert_array_equal(numbers(store), expected)
    assert historical_numbers(store, [ANN], [NOW]).tobytes() == numbers(store).tobytes()
    again = ingest(store, now=NOW)
    assert counts(again) == (0, 0, Recorded(0, 0))
    assert again.online_rows == {"sender": 0, "sender_domain": 0}
    np.testing.assert_array_equal(numbers(store), expected)


def test_rows_of_the_last_minute_wait(store: SenderStore) -> None:
    """An open transaction may yet commit rows with an earlier time."""
    recorded(answer(1), at=NOW - BEHIND)
    assert counts(ingest(store, now=NOW)) == (0, 0, Recorded(0, 0))
    assert counts(ingest(store, now=NOW + timedelta(seconds=1))) == (1, 0, Recorded(1, 0))


def test_a_row_that_comes_late_takes_its_place_in_time(store: SenderStore) -> None:
    """It waited in the spool of a gateway: made before what was read already, recorded after."""
    recorded(answer(5))
    ingest(store, now=NOW - timedelta(days=1))
    recorded(answer(1), at=NOW - timedelta(hours=1))
    assert counts(ingest(store, now=NOW)) == (1, 0, Recorded(1, 0))
    assert numbers(store)[0] == 2
    assert numbers(store)[4] == np.float32(4 / 24)


def test_corrected_feedback_is_believed_from_then_on(store: SenderStore) -> None:
    """The first label counted until the second one came."""
    recorded(answer(1))
    said(1, "spam")
    ingest(store, now=NOW - timedelta(days=3))
    assert numbers(store)[1] == np.float32(2 / 3)
    said(1, "ham", NOW - timedelta(days=2))
    assert counts(ingest(store, now=NOW)) == (0, 1, Recorded(0, 1))
    assert numbers(store)[1] == np.float32(1 / 3)
    before = historical_numbers(store, [ANN], [NOW - timedelta(days=3)]).reshape(-1)
    assert before[1] == np.float32(2 / 3), "what was known then stays"


def test_feedback_that_came_before_its_prediction_counts(store: SenderStore) -> None:
    """Once the prediction is there."""
    said(1, "spam")
    assert counts(ingest(store, now=NOW - timedelta(days=1))) == (0, 0, Recorded(0, 0))
    recorded(answer(1), at=NOW - timedelta(hours=1))
    assert counts(ingest(store, now=NOW)) == (1, 1, Recorded(1, 1))
    assert numbers(store)[1] == np.float32(2 / 3)


def test_one_message_that_is_asked_twice_is_one_message(store: SenderStore) -> None:
    """Under two request ids, in both environments."""
    recorded(answer(1), answer(2, message_sha256=answer(1).message_sha256, environment="staging"))
    assert counts(ingest(store, now=NOW)) == (2, 0, Recorded(1, 0))
    assert numbers(store)[0] == 1


def test_what_makes_no_event_is_counted_and_passed_over(store: SenderStore) -> None:
    """Another model, another schema, no sender, no hash, no believable sender; shadows are not even read."""
    recorded(
        answer(1, model_name="iris", numeric=(1.0, 2.0)),
        answer(2, schema_digest="of-another-time"),
        answer(3, sender=None),
        answer(4, message_sha256=None),
        answer(5, sender="a b\x7f@example.org"),
        answer(6, numeric=(1.0,)),
        answer(7, shadow_of="request-8"),
        answer(8),
    )
    said(1, "setosa")
    said(2, "spam")
    said(8, "neither")
    done = ingest(store, now=NOW)
    assert counts(done) == (7, 3, Recorded(1, 0))
    assert done.without_event == 9
    assert numbers(store)[0] == 1


def test_a_subject_that_is_absent_is_one_subject(store: SenderStore) -> None:
    """As in the corpus, where it is the empty one."""
    recorded(answer(1, subject_sha256=None), answer(2, subject_sha256=subject_sha256("")), answer(3))
    ingest(store, now=NOW)
    assert numbers(store)[2] == 2


def test_another_database_is_read_from_its_beginning(
    store: SenderStore, tmp_path: Path, empty_records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows may be older than the place in the former one."""
    recorded(answer(1))
    ingest(store, now=NOW)
    monkeypatch.setenv(
        "RECORDS_URL", f"sqlite:///{tmp_path}/other.db".replace("sqlite:", "sqlite+aiosqlite:")
    )
    shutil.copy(empty_records, tmp_path / "other.db")
    recorded(answer(2), at=WEEK_AGO - timedelta(days=1))
    assert counts(ingest(store, now=NOW)) == (1, 0, Recorded(1, 0))


def test_a_damaged_place_is_told_and_its_removal_costs_nothing(store: SenderStore) -> None:
    """Everything is read once more, and counts once."""
    recorded(answer(1))
    ingest(store, now=NOW)
    place = store.home.features / FILE
    for damage in ("", "{}", '{"records": 1', '{"records": "x", "predictions": [1]}'):
        place.write_text(damage)
        with pytest.raises(CursorsUnreadable) as unreadable:
            ingest(store, now=NOW)
        assert "Remove it" in str(unreadable.value.next_step)
    place.unlink()
    assert counts(ingest(store, now=NOW)) == (1, 0, Recorded(0, 0))
    assert numbers(store)[0] == 1


def test_two_runs_at_once_are_one(store: SenderStore) -> None:
    """The second is told that there is another."""
    with locked(store.home.features / "ingest.lock", what="x"), pytest.raises(Locked):
        ingest(store, now=NOW)


def test_records_without_tables_say_what_to_do(store: SenderStore, tmp_path: Path) -> None:
    """Nothing is kept as read."""
    (tmp_path / "records.db").unlink()
    with pytest.raises(SchemaBehind):
        ingest(store, now=NOW)
    assert not (store.home.features / FILE).exists()


def test_the_command_tells_what_it_read(store: SenderStore, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON and for people."""
    from cli.main import main

    recorded(answer(1))
    said(1, "spam")
    for options, expected in ((["--json"], None), ([], "new to the history")):
        with pytest.raises(SystemExit) as left:
            main(["features", "ingest", *options])
        assert left.value.code == ExitCode.DONE
        out = capsys.readouterr().out
        if expected is None:
            told = json.loads(out)
            assert (told["predictions"], told["feedback"], told["new_messages"], told["new_labels"]) == (
                1,
                1,
                1,
                1,
            )
        else:
            assert expected in out


def test_what_a_killed_run_left_is_ended_by_the_next_one(
    tmp_path: Path, empty_records: Path, monkeypatch: pytest.MonkeyPatch, dying: Dying
) -> None:
    """Killed in the log, between pages, among the labels, before the online store: each row counts once."""
    first, *others = homes = {name: tmp_path / name for name in SCENARIOS}
    homes[first].mkdir()
    shutil.copy(empty_records, homes[first] / "records.db")
    monkeypatch.setenv("SLUICE_HOME", str(homes[first]))
    recorded(*(answer(number) for number in range(1, 6)))
    for number, label in ((1, "spam"), (2, "spam"), (3, "ham")):
        said(number, label)
    apply(open_store(Home(homes[first]), FeatureRepoSettings.load()))
    for name in others:
        shutil.copytree(homes[first], homes[name])
    assert dying(tmp_path, SCENARIOS) == {name: [-signal.SIGKILL] for name in SCENARIOS}
    left = {
        "ingest_before_the_first_place": (5, 3),
        "ingest_between_pages": (3, 3),
        "ingest_among_labels": (0, 3),
        "ingest_before_online": (0, 0),
    }
    expected = np.array([5, 3 / 5, 1, 3 / 5, 4 / 24, 5, 3 / 5, 4 / 24], dtype=np.float32)
    for name, home in homes.items():
        monkeypatch.setenv("SLUICE_HOME", str(home))
        again = open_store(Home(home), FeatureRepoSettings.load())
        ended = ingest(again, now=NOW)
        assert (ended.predictions, ended.feedback) == left[name], name
        np.testing.assert_array_equal(numbers(again), expected, err_msg=name)
