"""What both databases hold alike, and what neither takes."""

import math
import struct
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import JSON, LargeBinary, String

from records.columns import JSON_MAX_BYTES, CleanString, Numbers, json_text, packed, unpacked
from records.engine import Records
from records.errors import RecordRejected
from records.repositories import deliveries, feedback, metrics, predictions, runs
from records.repositories.deliveries import Message
from records.repositories.feedback import NewFeedback
from records.repositories.metrics import Measurement
from records.repositories.runs import NewRun
from records.tables import ExperimentRun, PredictionLog, Row
from records.tables.experiment_runs import Trigger
from tests.records.rows import NOON, prediction


async def stored_run(records: Records, **changed: Any) -> ExperimentRun:
    """Returns a run as it comes back from the database."""
    values: dict[str, Any] = {
        "workload": "iris", "trigger": Trigger.MANUAL, "parameters": {}, "started_at": NOON,
    }  # fmt: skip
    async with records.transaction() as session:
        run = await runs.begin(session, NewRun(**(values | changed)))
    async with records.reading() as session:
        found = await session.get(ExperimentRun, run.id)
    assert found is not None
    return found


async def test_an_instant_comes_back_equal_and_in_utc(records: Records) -> None:
    """A time of Kathmandu is stored as the same instant, to the microsecond."""
    kathmandu = datetime(2026, 3, 1, 17, 45, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    run = await stored_run(records, started_at=kathmandu)
    assert run.started_at == kathmandu
    assert run.started_at.utcoffset() == timedelta(0)
    assert run.started_at.hour == 12


async def test_a_naive_time_is_refused(records: Records) -> None:
    """Nobody can tell later which zone was meant."""
    with pytest.raises(RecordRejected, match="time zone"):
        await stored_run(records, started_at=datetime(2026, 3, 1, 12))  # noqa: DTZ001 - the point of the test


async def test_a_naive_time_is_refused_in_a_query_too(records: Records) -> None:
    """A window by local time would silently be another window."""
    with pytest.raises(RecordRejected, match="time zone"):
        async with records.reading() as session:
            await predictions.recorded_after(session, None, until=datetime(2026, 3, 1))  # noqa: DTZ001


async def test_nul_and_lone_surrogates_become_replacement_characters(records: Records) -> None:
    """What hostile mail brings never fails the batch it travels in, and is found again by the same text."""
    async with records.transaction() as session:
        hostile = prediction(sender="a\x00b\ud800@example.org", request_id="r\x00")
        assert await predictions.insert_many(session, [hostile], recorded_at=NOON) == 1
        found = await predictions.by_request_id(session, "r\x00")
    assert found is not None
    assert found.sender == "a\ufffdb\ufffd@example.org"
    assert found.request_id == "r\ufffd"


async def test_json_is_cleaned_at_every_depth(records: Records) -> None:
    """The same rule holds for names and values inside JSON; text that looks like an escape stays."""
    given = {"a\x00": ["\ud83d", {"b": "c\x00d"}], "literal": "\\u0000", "naïve": "été"}
    run = await stored_run(records, parameters=given)
    assert run.parameters == {
        "a\ufffd": ["\ufffd", {"b": "c\ufffdd"}],
        "literal": "\\u0000",
        "naïve": "été",
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {1, 2}, NOON, b"bytes"])
async def test_what_is_not_json_is_refused(records: Records, value: object) -> None:
    """NaN and infinities are not JSON, although Python writes them, and SQLite would take them."""
    with pytest.raises(RecordRejected, match="not JSON"):
        await stored_run(records, parameters={"f1": value})


async def test_huge_json_is_refused_and_json_at_the_limit_is_not(records: Records) -> None:
    """The limit is in bytes, and the same in both databases."""
    frame = len('{"x":""}')
    run = await stored_run(records, parameters={"x": "y" * (JSON_MAX_BYTES - frame)})
    assert len(run.parameters["x"]) == JSON_MAX_BYTES - frame
    with pytest.raises(RecordRejected, match=f"a column holds {JSON_MAX_BYTES}"):
        await stored_run(records, parameters={"x": "y" * (JSON_MAX_BYTES - frame + 1)})


def test_endless_json_is_refused() -> None:
    """Neither a cycle nor a bottomless nest brings the writer down."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(RecordRejected):
        json_text(cycle)
    nest: list[Any] = []
    for _ in range(100_000):
        nest = [nest]
    with pytest.raises(RecordRejected):
        json_text(nest)


async def test_text_beyond_its_column_is_refused_in_both_databases(records: Records) -> None:
    """SQLite by itself would keep it."""
    text = NewFeedback(request_id="r" * 129, label="spam", created_at=NOON)
    with pytest.raises(RecordRejected, match="129 characters; its column holds 128"):
        async with records.transaction() as session:
            await feedback.submit(session, text, recorded_at=NOON)


@pytest.mark.parametrize("value", [math.nan, math.inf])
async def test_a_value_that_is_no_number_is_refused(records: Records, value: float) -> None:
    """PostgreSQL would store NaN, and SQLite would make it null."""
    measurement = Measurement(
        model_name="m", source="training", dataset="d", metric="psi", window_start=NOON, window_end=NOON,
        measured_at=NOON, value=value, row_count=1,
    )  # fmt: skip
    with pytest.raises(RecordRejected, match="NaN or an infinity"):
        async with records.transaction() as session:
            await metrics.write(session, [measurement])


async def test_the_numbers_come_back_bit_for_bit(records: Records) -> None:
    """What float32 can hold is what the model saw: negative zero, subnormals, a third, a million and one."""
    given = struct.unpack("<5f", struct.pack("<5f", -0.0, 1e-45, 1 / 3, 1_000_001, 3.4e38))
    async with records.transaction() as session:
        await predictions.insert_many(session, [prediction(numeric=given)], recorded_at=NOON)
        row = await predictions.by_request_id(session, "request-0")
    assert row is not None
    assert struct.pack("<5f", *row.numeric) == struct.pack("<5f", *given)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e39])
def test_numbers_that_the_model_cannot_have_seen_are_refused(value: float) -> None:
    """A float32 holds no 1e39: it would come back as infinity."""
    with pytest.raises(RecordRejected):
        packed([1.0, value])
    with pytest.raises(RecordRejected):
        packed([0.0] * 5000)
    assert unpacked(packed([])) == ()


async def test_a_refused_row_takes_its_whole_transaction_with_it(records: Records) -> None:
    """A transaction is written whole or not at all."""
    message = Message(alert_id=None, change="test", channel="slack", payload={"x": math.nan})

    async def write_both() -> None:
        async with records.transaction() as session:
            await predictions.insert_many(session, [prediction()], recorded_at=NOON)
            await deliveries.enqueue(session, message, now=NOON)

    with pytest.raises(RecordRejected):
        await write_both()
    async with records.reading() as session:
        assert await predictions.by_request_id(session, "request-0") is None


def test_no_column_takes_a_message() -> None:
    """Nothing in the table of predictions is named or made for a body, a subject, a header or raw bytes."""
    telling = ("body", "raw", "subject", "header", "content", "email", "html", "token")
    allowed = {"subject_sha256", "message_sha256"}
    for table in Row.metadata.sorted_tables:
        for column in table.columns:
            assert column.name in allowed or not any(word in column.name for word in telling), column
    free = {
        column.name: getattr(column.type, "length", None)
        for column in PredictionLog.__table__.columns
        if isinstance(column.type, CleanString | Numbers)
    }
    # The longest text a prediction can hold is an address; its bytes are packed numbers and nothing else.
    assert max(length for length in free.values() if length is not None) == 320
    assert [name for name, length in free.items() if length is None] == ["numeric"]
    others = {
        column.name: column.type for column in PredictionLog.__table__.columns if column.name not in free
    }
    assert not [name for name, kind in others.items() if isinstance(kind, String | LargeBinary)]
    assert [name for name, kind in others.items() if isinstance(kind, JSON)] == ["text_statistics"]


def test_text_statistics_hold_numbers_and_no_words() -> None:
    """The one JSON column of a prediction takes numbers by name, and no text could slip in by it."""
    with pytest.raises(RecordRejected, match="text_statistics"):
        prediction(text_statistics={"body": "Dear friend"})
