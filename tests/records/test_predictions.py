"""Predictions are written once, however often they are sent, and read back fast and whole."""

import asyncio
import sys
from typing import Any

import numpy as np
import pytest

from contracts.environments import Environment
from contracts.features import NUMERIC_FEATURES
from contracts.labels import Label
from records.engine import Records
from records.errors import RecordRejected
from records.repositories import prediction_windows, predictions
from records.repositories.prediction_windows import Period
from records.repositories.predictions import Cursor, NewPrediction
from tests.records.rows import NOON, SERVED, after, prediction


async def insert(records: Records, *rows: NewPrediction, seconds: float = 0) -> int:
    """Writes `rows` in a transaction of their own and returns how many were new."""
    async with records.transaction() as session:
        return await predictions.insert_many(session, rows, recorded_at=after(seconds))


async def test_the_same_prediction_sent_again_is_one_row(records: Records) -> None:
    """A spool that is drained twice, in one batch or in two, does no harm; the first answer stays."""
    assert await insert(records, prediction(1), prediction(2), prediction(2)) == 2
    assert await insert(records, prediction(2, probability=0.1), prediction(3)) == 1
    async with records.reading() as session:
        second = await predictions.by_request_id(session, "request-2")
        assert len(await prediction_windows.window(session, SERVED)) == 3
    assert second is not None
    assert second.probability == 0.75


async def test_batches_beyond_one_statement_are_written_whole(records: Records) -> None:
    """2,500 rows are two and a half statements, and one transaction."""
    assert await insert(records, *(prediction(number) for number in range(2500))) == 2500
    async with records.reading() as session:
        window = await prediction_windows.window(session, SERVED)
    assert window.request_ids == [f"request-{number}" for number in range(2500)]


async def test_writers_at_once_lose_nothing(records: Records) -> None:
    """Eight overlapping batches sent together leave each request once."""
    batches = [[prediction(number) for number in range(start, start + 60)] for start in range(0, 400, 50)]
    new = await asyncio.gather(*(insert(records, *batch) for batch in batches))
    async with records.reading() as session:
        window = await prediction_windows.window(session, SERVED)
    assert len(window) == sum(new) == 410


async def test_a_prediction_survives_the_spool(records: Records) -> None:
    """Through JSON and back, a prediction is equal to itself."""
    given = prediction(numeric=(1 / 3, 2.0), created_at=after(0.123456))
    assert NewPrediction.model_validate_json(given.model_dump_json()) == given
    await insert(records, given)


async def test_what_was_answered_is_found_by_request_id(records: Records) -> None:
    """Every column comes back as it went in."""
    given = prediction(5, defaulted_features=8)
    await insert(records, given, seconds=9)
    async with records.reading() as session:
        found = await predictions.by_request_id(session, "request-5")
        assert await predictions.by_request_id(session, "request-6") is None
    assert found is not None
    assert {name: getattr(found, name) for name in NewPrediction.model_fields} == dict(given)
    assert found.recorded_at == after(9)
    assert Label(found.label) is Label.SPAM


@pytest.mark.parametrize(
    "wrong",
    [
        {"probability": float("nan")},
        {"probability": 1.01},
        {"latency_seconds": -1},
        {"latency_seconds": float("inf")},
        {"numeric": (1.0, float("nan"))},
        {"environment": "prod"},
        {"sender": "a" * 400},
        {"request_id": " "},
        {"message_sha256": "Dear friend"},
        {"body": "Dear friend"},
        {"text_statistics": {"Dear friend": 1.0}},
        {"text_statistics": {"tokens": float("nan")}},
        {"text_statistics": {f"n{number}": 1.0 for number in range(101)}},
        {"numeric": (1e39,)},
        {"numeric": (0.0,) * 5000},
        {"label": " "},
        {"shadow_of": "request-0"},
        {"defaulted_features": 2**40},
        {"created_at": NOON.replace(tzinfo=None)},
    ],
)
def test_a_wrong_prediction_is_refused_where_it_is_made(wrong: dict[str, Any]) -> None:
    """Before it can spoil a batch; the message names the field and not the value."""
    with pytest.raises(RecordRejected, match=next(iter(wrong))) as refusal:
        prediction(**wrong)
    assert "Dear friend" not in refusal.value.message


async def test_the_gateway_writes_without_numpy() -> None:
    """Its image holds none: what it calls imports none."""
    program = (
        "import sys, records.engine, records.migrate, records.settings\n"
        "from records.repositories import alerts, deliveries, deployments, feedback, metrics\n"
        "from records.repositories import predictions, runs\n"
        "print(sorted({'numpy', 'pandas'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), stdout=asyncio.subprocess.PIPE
    )
    assert (await process.communicate())[0] == b"[]\n"


async def test_the_window_is_of_one_version_in_one_environment(records: Records) -> None:
    """Other versions, environments and models, mirrored copies and other times stay out."""
    await insert(
        records,
        prediction(1),
        prediction(2),
        prediction(3, model_version="8"),
        prediction(4, environment=Environment.STAGING),
        prediction(5, model_name="iris"),
        prediction(6, shadow_of="request-1"),
        prediction(7),
        prediction(8),
    )
    async with records.reading() as session:
        inside = await prediction_windows.window(session, SERVED, Period(after(2), after(8)))
        latest = await prediction_windows.window(session, SERVED, limit=2)
        mirrored = await prediction_windows.window(session, SERVED, shadows=True)
        shadows = await predictions.shadows_of(session, "request-1")
    assert inside.request_ids == ["request-2", "request-7"]
    assert latest.request_ids == ["request-7", "request-8"]
    assert len(mirrored) == 5
    assert [shadow.request_id for shadow in shadows] == ["request-6"]


async def test_the_window_comes_as_arrays(records: Records) -> None:
    """Numbers in contract order, instants in UTC, a missing statistic as NaN."""
    await insert(
        records, prediction(1), prediction(2, text_statistics={"known_share": 0.5}, defaulted_features=8)
    )
    async with records.reading() as session:
        window = await prediction_windows.window(session, SERVED)
    assert window.numeric.dtype == np.float32
    assert window.numeric.shape == (2, len(NUMERIC_FEATURES))
    assert window.numeric[1, 3] == 5
    assert window.created_at[0] == np.datetime64("2026-03-01T12:00:01")
    np.testing.assert_array_equal(window.text_statistics["token_count"], [11, np.nan])
    np.testing.assert_array_equal(window.text_statistics["known_share"], [np.nan, 0.5])
    assert window.labels == ["spam", "spam"]
    assert window.probabilities.tolist() == [0.75, 0.75]
    assert window.defaulted_features.tolist() == [0, 8]


async def test_an_empty_window_is_empty_and_no_error(records: Records) -> None:
    """Nothing happened is an answer too."""
    async with records.reading() as session:
        window = await prediction_windows.window(session, SERVED)
        labelled = await prediction_windows.labelled(session, SERVED)
        assert await predictions.recorded_after(session, None, until=NOON) == []
    assert (len(window), window.numeric.shape, window.text_statistics) == (0, (0, 0), {})
    assert (len(labelled), labelled.created_at.shape) == (0, (0,))
    assert await insert(records) == 0


async def test_a_reader_sees_each_row_once_in_the_order_of_writing(records: Records) -> None:
    """Rows of one instant are told apart by their key; one that waited in a spool comes late, not never."""
    await insert(records, *(prediction(number) for number in range(10, 15)), seconds=100)
    await insert(records, prediction(1), prediction(2, shadow_of="request-1"), seconds=200)
    seen: list[str] = []
    cursor: Cursor | None = None
    async with records.reading() as session:
        while rows := await predictions.recorded_after(session, cursor, until=after(300), limit=2):
            seen += [row.request_id for row in rows]
            cursor = predictions.cursor_after(rows, cursor)
        assert await predictions.recorded_after(session, cursor, until=after(300)) == []
        early = await predictions.recorded_after(session, None, until=after(200))
    assert sorted(seen[:5]) == [f"request-{number}" for number in range(10, 15)]
    assert seen[5:] == ["request-1"]
    assert len(early) == 5
    assert predictions.cursor_after([], cursor) == cursor


async def test_the_window_is_read_by_its_index(records: Records) -> None:
    """The plan of the drift query names the index that was made for it."""
    from sqlalchemy import text

    await insert(records, *(prediction(number) for number in range(2000)))
    sql = (
        "SELECT request_id FROM prediction_logs WHERE model_name = 'spam-detector' AND "
        "environment = 'production' AND model_version = '7' AND created_at >= '2026-03-01 12:33:00'"
    )
    async with records.transaction() as session:
        if records.dialect == "postgresql":
            await session.execute(text("ANALYZE prediction_logs"))
        explain = "EXPLAIN" if records.dialect == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = (await session.execute(text(f"{explain} {sql}"))).all()
    assert "ix_prediction_logs_window" in str(plan)
