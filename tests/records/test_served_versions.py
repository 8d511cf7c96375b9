"""Which version answers where, and which was measured last."""

from contracts.environments import Environment
from records.engine import Records
from records.repositories import metrics, predictions
from records.repositories.metrics import Measurement
from records.repositories.prediction_windows import Period, Served
from records.repositories.served_versions import Answers, answering, count, measured
from tests.records.rows import NOON, SERVED, after, prediction


async def test_the_version_that_answered_last_answers(records: Records) -> None:
    """Mirrored copies and older versions do not; rows before `since` are not counted."""
    rows = [
        *(prediction(number, model_version="6") for number in range(3)),
        *(prediction(number) for number in range(10, 14)),
        prediction(20, model_version="8", shadow_of="request-13"),
        prediction(30, environment=Environment.STAGING),
    ]
    async with records.transaction() as session:
        await predictions.insert_many(session, rows, recorded_at=after(99))
    async with records.reading() as session:
        found = await answering(session)
        (later,) = await answering(session, environment=Environment.PRODUCTION, since=after(12))
        assert await answering(session, model="another") == []
        assert await count(session, SERVED, Period(after(11), after(13))) == 2
    staging = Served(SERVED.model_name, Environment.STAGING, SERVED.model_version)
    assert found == [Answers(SERVED, 4, after(13)), Answers(staging, 1, after(30))]
    assert later == Answers(SERVED, 2, after(13))


async def test_the_version_that_was_measured_last(records: Records) -> None:
    """By the end of its window, of one metric only."""

    def value(version: str, hours: int, metric: str = "drift_run") -> Measurement:
        return Measurement(
            model_name=SERVED.model_name,
            source=SERVED.environment,
            dataset=version,
            metric=metric,
            window_start=NOON,
            window_end=after(3600 * hours),
            measured_at=NOON,
            value=0,
            row_count=1,
        )

    async with records.transaction() as session:
        await metrics.write(session, [value("7", 2), value("6", 1), value("8", 3, "psi")])
    async with records.reading() as session:
        assert await measured(session, "drift_run") == [SERVED]
        assert await measured(session, "drift_run", environment=Environment.STAGING) == []
