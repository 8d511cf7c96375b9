"""A value measured twice is one value, and a series comes in the order of its windows."""

from dataclasses import replace

import pytest

from records.engine import Records
from records.errors import RecordRejected
from records.repositories import metrics
from records.repositories.metrics import Measurement, Series
from tests.records.rows import after

PSI = Measurement(
    model_name="spam-detector", source="production", dataset="7", metric="psi", family="header",
    feature="link_count", window_start=after(0), window_end=after(60), measured_at=after(61), value=0.1,
    row_count=500,
)  # fmt: skip
ALL = Series(model_name="spam-detector", source="production", metric="psi")


async def write(records: Records, *measurements: Measurement) -> None:
    """Writes in a transaction of its own."""
    async with records.transaction() as session:
        await metrics.write(session, measurements)


async def test_a_value_measured_again_is_replaced(records: Records) -> None:
    """A job that died and ran again leaves one series and not two."""
    await write(records, PSI)
    await write(records, replace(PSI, value=0.3, details={"bins": 10}))
    async with records.reading() as session:
        (kept,) = await metrics.series(session, ALL)
    assert (kept.value, kept.details) == (0.3, {"bins": 10})


async def test_a_series_is_narrowed_and_ordered(records: Records) -> None:
    """By family and feature, from an instant on, oldest first; the values about all families apart."""
    hours = [
        replace(PSI, window_start=after(60 * n), window_end=after(60 * n + 60), value=n / 10)
        for n in range(5)
    ]
    overall = replace(PSI, family="", feature="", value=0.7)
    await write(records, *reversed(hours), overall, replace(PSI, feature="part_count"))
    async with records.reading() as session:
        links = await metrics.series(session, replace(ALL, feature="link_count"), since=after(180))
        latest = await metrics.series(session, replace(ALL, feature="link_count"), limit=2)
        (whole,) = await metrics.series(session, replace(ALL, family="", feature=""))
        everything = await metrics.of_dataset(
            session, model_name="spam-detector", source="production", dataset="7"
        )
        assert await metrics.series(session, replace(ALL, metric="ks")) == []
    assert [row.value for row in links] == [0.2, 0.3, 0.4]
    assert [row.value for row in latest] == [0.3, 0.4]
    assert whole.value == 0.7
    assert len(everything) == 7
    await write(records)


@pytest.mark.parametrize(
    "wrong",
    [replace(PSI, source="prod"), replace(PSI, window_end=after(-1)), replace(PSI, row_count=-1)],
)
async def test_a_measurement_that_cannot_be_is_refused(records: Records, wrong: Measurement) -> None:
    """An unknown source, a window that ends before it begins, fewer rows than none."""
    with pytest.raises(RecordRejected):
        await write(records, wrong)


async def test_the_largest_of_a_family_is_one_value_for_each_window(records: Records) -> None:
    """Of each version, oldest first, from an instant on; other metrics and models apart."""
    later = replace(PSI, window_start=after(60), window_end=after(120), value=0.2)
    await write(
        records,
        PSI,
        replace(PSI, feature="other", value=0.4),
        replace(PSI, family="text", feature="length", value=0.05),
        later,
        replace(later, dataset="8", value=0.7),
        replace(PSI, metric="ks", value=0.9),
        replace(PSI, model_name="iris", value=0.9),
        replace(PSI, window_start=after(-60), window_end=after(59), value=0.9),
    )
    async with records.reading() as session:
        found = await metrics.largest_of_families(session, ALL, since=after(60))
        (latest,) = await metrics.largest_of_families(session, ALL, since=after(60), limit=1)
    assert sorted(found) == [
        ("header", after(60), "7", 0.4),
        ("header", after(120), "7", 0.2),
        ("header", after(120), "8", 0.7),
        ("text", after(60), "7", 0.05),
    ]
    assert [row.window_end for row in found] == [after(60), after(60), after(120), after(120)]
    assert latest.window_end == after(120)
