"""Every prediction becomes one row: through outages, limits, bad rows and the end of the process."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.measures import Measures
from records import migrate
from records.errors import UPGRADE
from records.repositories import predictions
from tests.gateway.memory.answers import answered, connect, counted, ids, remembering, sqlite, until, written

WRITTEN = "sluice_gateway_records_written_total"
DROPPED = "sluice_gateway_records_dropped_total"


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
async def test_each_answer_becomes_one_row_in_order(tmp_path: Path, address: str, fsync: str) -> None:
    """Whatever the setting; the metrics tell it, and nothing is left on the disk."""
    measures = Measures()
    async with remembering(
        tmp_path, address, measures=measures, spool_fsync=fsync, records_batch=100
    ) as memory:
        for number in range(250):
            memory.record(answered(number))
        assert counted(measures, "sluice_gateway_records_queued") == memory.state().queued == 250
        await until(lambda: counted(measures, WRITTEN) == 250)
        assert memory.kept == 250
        assert not memory.state().degraded
    assert await written(address) == ids(250)
    assert list((tmp_path / "gateway" / "spool").rglob("*.segment")) == []
    records = connect(address)
    async with records.reading() as session:
        row = await predictions.by_request_id(session, "request-000003")
    await records.close()
    assert row is not None
    assert (row.label, row.model_version, row.sender, row.defaulted_features) == (
        "spam",
        "7",
        "ann@example.org",
        3,
    )
    assert row.created_at < row.recorded_at


async def test_the_same_request_twice_is_one_row(tmp_path: Path, address: str) -> None:
    """In one batch and in two; the first stays."""
    async with remembering(tmp_path, address) as memory:
        for label in ("spam", "ham"):
            memory.record(answered(1, label=label))
        await until(lambda: memory.kept == 2)
        memory.record(answered(1, label="ham"))
        memory.record(answered(2))
    assert await written(address) == ids(2, first=1)


async def test_an_answer_that_no_table_holds_costs_nobody_else(tmp_path: Path, address: str) -> None:
    """It is counted, and the log names the field and not the value."""
    measures = Measures()
    with capture_logs() as logs:
        async with remembering(tmp_path, address, measures=measures) as memory:
            for number in range(9):
                wrong = {"request_id": "secret" * 40} if number % 3 == 1 else {}
                memory.record(answered(number, **wrong))
            await until(lambda: memory.kept == 9)
            memory.record(answered(9, probability=7.0))
            await until(lambda: memory.kept == 10)
    assert await written(address) == [f"request-{number:06d}" for number in (0, 2, 3, 5, 6, 8)]
    assert counted(measures, DROPPED, reason="invalid") == 4
    told = [entry for entry in logs if entry["event"] == "prediction_invalid"]
    assert len(told) == 4
    assert "secret" not in str(logs)


async def test_a_row_that_only_the_database_refuses_costs_nobody_else(tmp_path: Path, address: str) -> None:
    """A constraint of somebody's own: the others of its batch are written, and it does not come back."""
    with closing(sqlite3.connect(tmp_path / "records.db")) as file, file:
        file.execute(
            "CREATE TRIGGER picky BEFORE INSERT ON prediction_logs WHEN NEW.request_id = 'request-000004' "
            "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )
    measures = Measures()
    async with remembering(tmp_path, address, measures=measures) as memory:
        for number in range(8):
            memory.record(answered(number))
        await until(lambda: memory.kept == 8)
        assert not memory.state().degraded
    assert await written(address) == [name for name in ids(8) if name != "request-000004"]
    assert counted(measures, DROPPED, reason="invalid") == 1


async def test_without_tables_everything_waits_in_the_spool_until_there_are_some(tmp_path: Path) -> None:
    """The log says what to do; after the upgrade the rows arrive in their order, the new ones behind."""
    address = sqlite(tmp_path / "records.db")
    with capture_logs() as logs:
        async with remembering(tmp_path, address, spool_fsync="always") as memory:
            for number in range(30):
                memory.record(answered(number))
            await until(lambda: memory.kept == 30 and memory.state().degraded)
            assert memory.state().spool_bytes > 0
            for number in range(30, 60):
                memory.record(answered(number))
            await until(lambda: memory.kept == 60)
            records = connect(address)
            await migrate.upgrade(records.engine)
            await records.close()
            await until(lambda: memory.state().spool_bytes == 0)
            memory.record(answered(60))
            await until(lambda: memory.kept == 61)
            assert not memory.state().degraded
    assert await written(address) == ids(61)
    failures = [entry for entry in logs if entry["event"] == "records_not_written"]
    assert [entry["next_step"] for entry in failures] == [UPGRADE], "told once, not at each attempt"
    assert "records_written_again" in [entry["event"] for entry in logs]


async def test_rows_that_wait_for_a_lock_go_to_the_spool_and_are_written_once(
    tmp_path: Path, address: str
) -> None:
    """A slow database: the write goes on, its rows are safe meanwhile, and no row is doubled."""
    with closing(sqlite3.connect(tmp_path / "records.db", isolation_level=None)) as other:
        async with remembering(tmp_path, address, lock_timeout_seconds=60) as memory:
            other.execute("BEGIN IMMEDIATE")
            for number in range(40):
                memory.record(answered(number))
            await until(lambda: memory.kept == 40)
            assert memory.state().spool_bytes > 0
            for number in range(40, 80):
                memory.record(answered(number))
            await until(lambda: memory.kept == 80)
            assert await written(address) == []
            other.execute("ROLLBACK")
            await until(lambda: memory.state().spool_bytes == 0)
    assert await written(address) == ids(80)


async def test_a_full_spool_keeps_the_oldest_and_counts_what_it_drops(tmp_path: Path, address: str) -> None:
    """Rows it cannot take stay in memory up to its bound; after that they are counted; none is doubled."""
    measures = Measures()
    with (
        closing(sqlite3.connect(tmp_path / "records.db", isolation_level=None)) as other,
        capture_logs() as logs,
    ):
        async with remembering(
            tmp_path,
            address,
            lock_timeout_seconds=0.1,
            measures=measures,
            spool_max_bytes=1 << 16,
            records_queue=50,
            records_batch=20,
        ) as memory:
            other.execute("BEGIN IMMEDIATE")
            for number in range(400):
                memory.record(answered(number))
                if number % 10 == 9:
                    await until(
                        lambda: memory.state().queued < 50 or counted(measures, DROPPED, reason="full") > 0
                    )
            dropped = counted(measures, DROPPED, reason="full")
            assert 0 < dropped < 400
            assert memory.state().spool_bytes <= memory.state().spool_limit_bytes == 1 << 16
            assert "spool_nearly_full" in [entry["event"] for entry in logs]
            other.execute("ROLLBACK")
            await until(lambda: memory.state().queued == memory.state().spool_bytes == 0)
    assert await written(address) == ids(400 - int(dropped))


@pytest.mark.parametrize("fsync", ["always", "interval"])
async def test_without_a_spool_the_database_is_written_and_an_outage_costs_the_newest(
    tmp_path: Path, fsync: str
) -> None:
    """A folder that cannot be made; what memory holds is written when the database is back."""
    (tmp_path / "blocked").write_text("a file")
    address, measures = sqlite(tmp_path / "records.db"), Measures()
    with capture_logs() as logs:
        async with remembering(
            tmp_path,
            address,
            measures=measures,
            spool=tmp_path / "blocked",
            records_queue=50,
            spool_fsync=fsync,
        ) as memory:
            memory.record(answered(0))
            await until(lambda: "records_not_written" in [entry["event"] for entry in logs])
            for number in range(1, 60):
                memory.record(answered(number))
            assert memory.state().queued == 50
            assert counted(measures, DROPPED, reason="disk") == 10
            assert memory.state().degraded
            records = connect(address)
            await migrate.upgrade(records.engine)
            await records.close()
            await until(lambda: memory.kept == 50)
            memory.record(answered(60))
            await until(lambda: memory.kept == 51)
    assert await written(address) == [*ids(50), "request-000060"]
    assert [entry["event"] for entry in logs].count("spool_unusable") == 1


async def test_what_could_not_be_written_by_the_end_is_written_by_the_next_process(tmp_path: Path) -> None:
    """Also with `never`, and with rows that came at the last moment."""
    address = sqlite(tmp_path / "records.db")
    for first in (0, 20):
        async with remembering(tmp_path, address, spool_fsync="never") as memory:
            for number in range(first, first + 20):
                memory.record(answered(number))
        assert memory.state().queued == 0
    records = connect(address)
    await migrate.upgrade(records.engine)
    await records.close()
    async with remembering(tmp_path, address) as memory:
        memory.record(answered(40))
        await until(lambda: memory.state().spool_bytes == 0 and memory.kept == 1)
    assert await written(address) == ids(41)


async def test_with_neither_database_nor_disk_the_end_counts_what_it_drops(tmp_path: Path) -> None:
    """And comes."""
    (tmp_path / "blocked").write_text("a file")
    measures = Measures()
    with capture_logs() as logs:
        async with remembering(
            tmp_path,
            sqlite(tmp_path / "records.db"),
            measures=measures,
            spool=tmp_path / "blocked",
            drain_seconds=0.2,
        ) as memory:
            for number in range(7):
                memory.record(answered(number))
        memory.record(answered(8))
    assert counted(measures, DROPPED, reason="disk") == 8
    assert [entry["count"] for entry in logs if entry["event"] == "predictions_dropped"] == [7]


async def test_two_memories_in_one_home_write_each_their_rows(tmp_path: Path, address: str) -> None:
    """As two gateways on one machine."""
    async with (
        remembering(tmp_path, address, spool_fsync="always") as one,
        remembering(tmp_path, address, spool_fsync="always") as two,
    ):
        for number in range(0, 100, 2):
            one.record(answered(number))
            two.record(answered(number + 1))
        await until(lambda: one.kept == two.kept == 50)
    assert sorted(await written(address)) == ids(100)


async def test_nothing_is_recorded_where_settings_say_so(tmp_path: Path, address: str) -> None:
    """And no folder is made."""
    async with remembering(tmp_path, address, record=False) as memory:
        memory.record(answered(1))
        assert memory.state().queued == 0
    assert await written(address) == []
    assert not (tmp_path / "gateway").exists()


async def test_the_spool_is_synced_in_time_without_further_answers(tmp_path: Path) -> None:
    """With `interval`: nobody has to write again for the last rows to be forced to the disk."""
    async with remembering(
        tmp_path, sqlite(tmp_path / "records.db"), spool_fsync="interval", spool_fsync_seconds=0.05
    ) as memory:
        for number in range(3):
            memory.record(answered(number))
            await until(lambda: memory.kept == number + 1)  # noqa: B023 - awaited within the turn
        await until(lambda: not memory._disk.unsynced)
        assert memory.state().spool_bytes > 0
