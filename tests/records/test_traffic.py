"""What answered lately, by the hour, and how long it took."""

import re
from datetime import timedelta

from sqlalchemy import event

from contracts.environments import Environment
from records.engine import Records
from records.repositories import predictions
from records.repositories.prediction_windows import Period, Served
from records.repositories.traffic import Answered, Hour, answered, hourly, latencies
from tests.records.rows import NOON, SERVED, after, prediction


async def test_every_version_that_ever_answered_is_found(records: Records) -> None:
    """In order, each with its latest prediction, copies too; by leaps, not by reading the table."""
    staging = Served(SERVED.model_name, Environment.STAGING, "10")
    there = Environment.STAGING
    rows = [
        *(prediction(number) for number in range(5)),
        *(
            prediction(number, environment=Environment.STAGING, model_version="10")
            for number in range(10, 13)
        ),
        prediction(20, environment=there, model_version="9", shadow_of="request-1"),
        prediction(30, model_name="another"),
    ]
    async with records.transaction() as session:
        await predictions.insert_many(session, rows, recorded_at=after(99))
    asked: list[str] = []
    event.listen(records.engine.sync_engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    async with records.reading() as session:
        found = await answered(session)
    assert found == [
        Answered(Served("another", SERVED.environment, SERVED.model_version), after(30)),
        Answered(SERVED, after(4)),
        Answered(staging, after(12)),
        Answered(staging._replace(model_version="9"), after(20)),
    ]
    assert all(re.search(r"LIMIT", each) for each in asked if each.startswith("SELECT"))


async def test_answers_are_counted_by_the_hour(records: Records) -> None:
    """Those with defaults and mirrored copies apart; an hour without any is left out."""
    last = NOON + timedelta(hours=3, minutes=59, seconds=59.999999)
    rows = [
        *(prediction(number, created_at=NOON + timedelta(minutes=number)) for number in range(70)),
        prediction(80, created_at=NOON + timedelta(hours=3), defaulted_features=8),
        prediction(81, created_at=last, shadow_of="request-1"),
        prediction(82, created_at=NOON - timedelta(microseconds=1)),
        prediction(83, model_version="other"),
    ]
    async with records.transaction() as session:
        await predictions.insert_many(session, rows, recorded_at=after(99))
    async with records.reading() as session:
        found = await hourly(session, SERVED, NOON)
        assert await hourly(session, SERVED._replace(model_name="none"), NOON) == []
    assert found == [
        Hour(NOON, 60, 0, 0),
        Hour(NOON + timedelta(hours=1), 10, 0, 0),
        Hour(NOON + timedelta(hours=3), 1, 1, 1),
    ]


async def test_latencies_are_those_of_the_latest_answers(records: Records) -> None:
    """Of a period, at most so many, without copies."""
    rows = [
        *(prediction(number, latency_seconds=number / 1000) for number in range(10)),
        prediction(20, latency_seconds=9, shadow_of="request-1", created_at=after(5)),
    ]
    async with records.transaction() as session:
        await predictions.insert_many(session, rows, recorded_at=after(99))
    async with records.reading() as session:
        found = await latencies(session, SERVED, Period(after(2), after(8)), limit=3)
    assert found == [0.007, 0.006, 0.005]
