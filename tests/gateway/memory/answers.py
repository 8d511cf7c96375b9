"""Answers for tests of the memory, and a memory to give them to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select

from contracts.environments import Environment
from contracts.facts import Facts
from contracts.features import NUMERIC_FEATURES, SCHEMA_DIGEST
from contracts.tensors import SPAM_DETECTOR
from gateway.asked import Caller
from gateway.measures import Measures
from gateway.memory.answered import Answered
from gateway.memory.memory import Memory
from gateway.settings import GatewaySettings
from kit.home import Home
from records.engine import Records, build_engine
from records.settings import SQLITE, RecordsSettings
from records.tables import PredictionLog

LIMIT_SECONDS = 60
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACTS = Facts(
    sender="ann@example.org",
    sender_domain="example.org",
    subject_sha256="a" * 64,
    defaulted_features=3,
    text_statistics={"token_count": 12.0},
    threshold=0.5,
    schema_digest=SCHEMA_DIGEST,
)
EVERYWHERE = Caller("key", "tests", frozenset(Environment))


def answered(number: int, **changed: Any) -> Answered:
    """Returns a valid answer; each `number` is another request."""
    values: dict[str, Any] = {
        "request_id": f"request-{number:06d}",
        "created_at": NOON,
        "environment": Environment.STAGING,
        "model": SPAM_DETECTOR,
        "version": "7",
        "facts": FACTS,
        "numeric": [float(index) for index in range(len(NUMERIC_FEATURES))],
        "probability": 0.75,
        "label": "spam",
        "latency_seconds": 0.002,
        "message_sha256": f"{number:064x}",
    }
    return Answered(**(values | changed))


def connect(address: str, **settings: Any) -> Records:
    """Returns the records at `address`; the caller closes them."""
    return Records(build_engine(RecordsSettings.load(url=SecretStr(address), **settings)))


def sqlite(path: Path) -> str:
    """Returns the address of an SQLite file."""
    return f"{SQLITE}:///{path}"


@asynccontextmanager
async def remembering(
    home: Path,
    address: str,
    *,
    lock_timeout_seconds: float = 5,
    measures: Measures | None = None,
    **changed: Any,
) -> AsyncIterator[Memory]:
    """Yields a memory that was started, over the records at `address`; both are closed at the end."""
    records = connect(address, lock_timeout_seconds=lock_timeout_seconds)
    memory = Memory(GatewaySettings.load(**changed), records, measures or Measures(), Home(home))
    await memory.start()
    try:
        yield memory
    finally:
        await memory.close()
        await records.close()


async def written(address: str) -> list[str]:
    """Returns the request ids in the records, in the order in which they were written."""
    records = connect(address)
    try:
        async with records.reading() as session:
            return list(await session.scalars(select(PredictionLog.request_id).order_by(PredictionLog.id)))
    finally:
        await records.close()


async def until(holds: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    """Returns when the condition holds; fails after a minute."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


def ids(count: int, first: int = 0) -> list[str]:
    """Returns the request ids of `count` answers."""
    return [f"request-{number:06d}" for number in range(first, first + count)]


def counted(measures: Measures, name: str, **labels: str) -> float:
    """Returns the value of a metric."""
    return measures.registry.get_sample_value(name, labels) or 0.0
