"""Figures of the memory: what recording costs a request, and how fast rows reach disk and database."""

import asyncio
import gc
import importlib.util
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, get_args

from pydantic import SecretStr

from contracts.environments import Environment
from contracts.facts import Facts
from contracts.features import NUMERIC_FEATURES, SCHEMA_DIGEST
from contracts.labels import Label
from contracts.tensors import SPAM_DETECTOR
from gateway.measures import Measures
from gateway.memory.answered import Answered
from gateway.memory.memory import Memory
from gateway.memory.rows import row
from gateway.memory.spool import Fsync, Spool
from gateway.settings import GatewaySettings
from kit.benchmark import Figure
from kit.home import Home
from records import migrate
from records.engine import Records, build_engine
from records.postgresql import temporary
from records.settings import SQLITE, RecordsSettings

ROWS: Final = 10_000
_GROUP: Final = 20
"""Rows of one spool write: what comes in 20 ms at 1,000 requests a second."""
_GROUPS: Final = 100


def recording(home: Home, *, rows: int = ROWS) -> list[Figure]:
    """Returns the cost of `record`, rows per second to each database and to the spool, by fsync mode.

    Everything lies in a scratch folder below `home`, which is removed.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="memory-bench-", dir=home.root)))
        addresses = {"SQLite": f"{SQLITE}:///{folder}/records.db"}
        if importlib.util.find_spec("pgserver") is not None:
            addresses["PostgreSQL"] = stack.enter_context(temporary()).url()
        figures: list[Figure] = []
        for database, address in addresses.items():
            figures += asyncio.run(_written(database, address, folder / database, rows))
        figures += [_spooled(folder / fsync, fsync) for fsync in get_args(Fsync)]
    return figures


async def _written(database: str, address: str, folder: Path, rows: int) -> list[Figure]:
    records = Records(build_engine(RecordsSettings.load(url=SecretStr(address))))
    answers = [_answered(number) for number in range(rows)]
    settings = GatewaySettings.load(records_queue=2 * rows + 1, spool_max_bytes=1 << 30)
    memory = Memory(settings, records, Measures(), Home(folder))
    try:
        await migrate.upgrade(records.engine)
        await memory.start()
        memory.record(_answered(rows))  # the first one pays for imports and for the making of statements
        await memory.flushed()
        gc.freeze()  # as the gateway does: the collector would walk through all of these again and again
        start = time.perf_counter()
        for answer in answers:
            memory.record(answer)
        taken = time.perf_counter() - start
        longest = await _longest_step(memory, rows)
        written = time.perf_counter() - start
    finally:
        gc.unfreeze()
        await memory.close()
        await records.close()
    note = f"{rows:,} answers at once"
    figures = [
        Figure(f"gateway: answers written, {database}", rows / written, "rows/s", note=note),
        Figure(
            f"gateway: longest step of the event loop meanwhile, CPU, {database}",
            longest * 1000,
            "ms",
            note="what a request waits at most behind the writing",
        ),
    ]
    if database == "SQLite":
        figures.insert(0, Figure("gateway: record()", taken / rows * 1e6, "us", aim="< 5", note=note))
    return figures


async def _longest_step(memory: Memory, rows: int) -> float:
    """Returns the longest CPU time of this thread between two turns."""
    longest = 0.0
    while memory.kept <= rows:
        start = time.thread_time()
        await asyncio.sleep(0.001)
        longest = max(longest, time.thread_time() - start)
    return longest


def _spooled(folder: Path, fsync: Fsync) -> Figure:
    groups = [[row(_answered(_GROUP * group + place)) for place in range(_GROUP)] for group in range(_GROUPS)]
    spool = Spool(folder, max_bytes=1 << 30, fsync=fsync, fsync_seconds=0.2)
    spool.open()
    start = time.perf_counter()
    for group in groups:
        spool.append(group)
    seconds = time.perf_counter() - start
    while (waiting := spool.read(1000)) is not None:
        spool.forget(waiting)
    spool.close()
    return Figure(
        f"gateway: answers spooled, fsync {fsync}",
        _GROUPS * _GROUP / seconds,
        "rows/s",
        note=f"{_GROUP} in a write, {seconds / _GROUPS * 1000:.2f} ms each",
    )


def _answered(number: int) -> Answered:
    return Answered(
        request_id=f"bench-{number:08d}",
        created_at=datetime.now(UTC),
        environment=Environment.STAGING,
        model=SPAM_DETECTOR,
        version="7",
        facts=Facts(
            sender=f"sender{number % 997}@example.org",
            sender_domain="example.org",
            subject_sha256=f"{number % 8191:064x}",
            text_statistics={"token_count": float(number % 900), "known_share": 0.4},
            threshold=0.5,
            schema_digest=SCHEMA_DIGEST,
        ),
        numeric=[float(number % 7)] * len(NUMERIC_FEATURES),
        probability=number % 1000 / 1000,
        label=Label.SPAM if number % 1000 >= 500 else Label.HAM,  # noqa: PLR2004 - the threshold above
        latency_seconds=0.002,
        message_sha256=f"{number:064x}",
    )
