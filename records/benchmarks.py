"""Figures of the memory: how fast predictions go in, and how fast a drift window comes out."""

import asyncio
import importlib.util
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from pydantic import SecretStr
from sqlalchemy import select

from contracts.environments import Environment
from contracts.features import NUMERIC_FEATURES, SCHEMA_DIGEST
from contracts.labels import Label
from contracts.tensors import SPAM_DETECTOR
from kit.benchmark import Figure
from kit.home import Home
from records import migrate
from records.engine import Records, build_engine
from records.repositories import prediction_windows, predictions
from records.repositories.predictions import NewPrediction
from records.settings import SQLITE, RecordsSettings
from records.tables import PredictionLog

ROWS: Final = 100_000
_BATCH: Final = 1000
_THRESHOLD: Final = 0.5
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SERVED: Final = prediction_windows.Served(SPAM_DETECTOR, Environment.PRODUCTION, "7")


def prediction_window(home: Home, *, rows: int = ROWS) -> list[Figure]:
    """Returns rows per second written and read, in SQLite and, where the wheel is installed, in PostgreSQL.

    The peer reads the same window as plain ORM objects. The scratch folder is below `home`, and removed.
    """
    from tempfile import TemporaryDirectory

    from records.postgresql import temporary

    home.root.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="records-bench-", dir=home.root))
        addresses = {"SQLite": f"{SQLITE}:///{folder}/records.db"}
        if importlib.util.find_spec("pgserver") is not None:
            addresses["PostgreSQL"] = stack.enter_context(temporary()).url()
        for database, address in addresses.items():
            figures += asyncio.run(_measured(database, address, rows))
    return figures


async def _measured(database: str, address: str, rows: int) -> list[Figure]:
    records = Records(build_engine(RecordsSettings.load(url=SecretStr(address))))
    try:
        await migrate.upgrade(records.engine)
        writing = 0.0
        for batch in _batches(rows):
            start = time.perf_counter()
            async with records.transaction() as session:
                await predictions.insert_many(session, batch, recorded_at=_START)
            writing += time.perf_counter() - start
        reading = min([await _read(records, rows) for _ in range(3)])
        objects = await _read_objects(records, rows)
    finally:
        await records.close()
    return [
        Figure(
            f"records: predictions written, {database}",
            rows / writing,
            "rows/s",
            note=f"{rows:,} rows in transactions of {_BATCH:,}",
        ),
        Figure(
            f"records: drift window read as arrays, {database}",
            rows / reading,
            "rows/s",
            peer=f"the same rows as ORM objects: {rows / objects:,.0f} rows/s",
            ratio=objects / reading,
            note=f"{rows:,} rows of {len(NUMERIC_FEATURES)} numbers, text statistics and score",
        ),
    ]


async def _read(records: Records, rows: int) -> float:
    start = time.perf_counter()
    async with records.reading() as session:
        window = await prediction_windows.window(session, _SERVED)
    seconds = time.perf_counter() - start
    if len(window) != rows:
        raise RuntimeError(f"The window holds {len(window)} rows instead of {rows}.")
    return seconds


async def _read_objects(records: Records, rows: int) -> float:
    start = time.perf_counter()
    async with records.reading() as session:
        query = select(PredictionLog).where(
            PredictionLog.model_name == _SERVED.model_name,
            PredictionLog.environment == _SERVED.environment,
            PredictionLog.model_version == _SERVED.model_version,
            PredictionLog.shadow_of.is_(None),
        )
        found = (await session.scalars(query.order_by(PredictionLog.created_at, PredictionLog.id))).all()
    seconds = time.perf_counter() - start
    if len(found) != rows:
        raise RuntimeError(f"The query found {len(found)} rows instead of {rows}.")
    return seconds


def _batches(rows: int) -> Iterator[list[NewPrediction]]:
    random = Random(7)  # noqa: S311 - figures, not secrets
    for first in range(0, rows, _BATCH):
        yield [_prediction(number, random) for number in range(first, min(first + _BATCH, rows))]


def _prediction(number: int, random: Random) -> NewPrediction:
    probability = random.random()
    return NewPrediction(
        request_id=f"bench-{number:08d}",
        created_at=_START + timedelta(seconds=number),
        environment=_SERVED.environment,
        model_name=_SERVED.model_name,
        model_version=_SERVED.model_version,
        schema_digest=SCHEMA_DIGEST,
        message_sha256=f"{number:064x}",
        sender=f"sender{number % 997}@example.org",
        sender_domain="example.org",
        subject_sha256=f"{number % 8191:064x}",
        numeric=tuple(feature.clip(random.random() * 50) for feature in NUMERIC_FEATURES),
        text_statistics={"token_count": float(number % 900), "known_share": random.random()},
        probability=probability,
        threshold=_THRESHOLD,
        label=Label.SPAM if probability >= _THRESHOLD else Label.HAM,
        latency_seconds=0.002,
    )
