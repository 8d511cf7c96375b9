"""Runs the drift job in processes that are killed on the way: a program, told on standard input what to run.

One line of JSON asks for one or more runs at once; one line of JSON tells how each ended. The runs are
children of a process that has imported everything, which takes longer than the runs. A child observes what
its database is asked to write, and kills itself with SIGKILL before the statement it is told.
"""

import asyncio
import importlib
import json
import os
import select
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.orm import configure_mappers

from kit import logs
from kit.errors import SluiceError
from kit.home import Home
from monitoring.drift import job
from monitoring.settings import MonitoringSettings
from records.engine import Records, build_engine
from records.settings import RecordsSettings
from tests.monitoring.alerts.story import channels
from tests.monitoring.traffic import after

SETTINGS: Final = MonitoringSettings.load(
    drift_deals=500,
    drift_false_alarms=0.1,
    performance_window="1s",  # no rows: an estimate would take longer than all the rest
    report_when="never",
    channels=channels("all", "two"),
)
_READING: Final = "records_reading"
_READS: Final = "reads"
_MEASURED: Final = 4
"""What has been measured is read for since when: after the versions, the figures and the window."""
_PATIENCE_SECONDS: Final = 60
_HEAVY: Final = (
    "aiosqlite",
    "asyncpg",
    "pyarrow.parquet",
    "scipy.optimize",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
)
"""What a run imports on the way; each child would do so anew."""

Observer = Callable[[str], None]


def observe(records: Records, observer: Observer) -> None:
    """Tells `observer` of each step of each transaction that writes, and that another one reads."""
    engine = records.engine.sync_engine

    def writes(connection: Any) -> bool:
        return not connection.get_execution_options().get(_READING, False)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        observer("begin" if writes(connection) else _READS)

    @event.listens_for(engine, "before_cursor_execute")
    def execute(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if writes(connection) and not statement.startswith("BEGIN"):
            observer(" ".join(statement.split()[:3]))

    @event.listens_for(engine, "commit")
    def commit(connection: Any) -> None:
        if writes(connection):
            observer("commit")


async def run(asked: dict[str, Any], observer: Observer) -> dict[str, Any]:
    """Returns what a run of the job found, as far as the test asks."""
    records = Records(build_engine(RecordsSettings.load(url=SecretStr(asked["address"]))))
    observe(records, observer)
    try:
        outcome = await job.run(
            records, Home(Path(asked["home"])), SETTINGS, now=after(1) + timedelta(minutes=asked["minute"])
        )
    except SluiceError as error:
        return {"refused": error.code}
    finally:
        await records.close()
    return {
        "measured": len(outcome.results),
        "refused": next((error.code for _, error in outcome.unmeasured), None),
    }


def child(asked: dict[str, Any], answer: int, ready: int, go: int) -> None:
    """Runs the job as it is asked, writes what came of it to the pipe `answer`, and ends."""
    steps: list[str] = []
    reads: list[str] = []

    def observer(step: str) -> None:
        (reads if step == _READS else steps).append(step)
        if step != _READS and len(steps) == asked.get("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if asked.get("together") and step == _READS and len(reads) == _MEASURED:
            os.write(ready, b"1")
            os.read(go, 1)

    found = asyncio.run(run(asked, observer))
    if asked.get("kill") == len(steps) + 1:
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(answer, json.dumps(found | {"steps": steps}).encode())


def together(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Starts a child for each of `asked`, and returns how they ended."""
    (ready, say_ready), (go, say_go) = os.pipe(), os.pipe()
    children = []
    for one in asked:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(one, writing, say_ready, go)
            os._exit(0)
        os.close(writing)
        children.append((pid, reading))
    if any(one.get("together") for one in asked):
        for _ in asked:
            if not select.select([ready], [], [], _PATIENCE_SECONDS)[0]:
                raise TimeoutError("a run did not come as far as to have measured")
            os.read(ready, 1)
        os.write(say_go, b"1" * len(asked))
    ended = []
    for pid, reading in children:
        with os.fdopen(reading, "rb") as pipe:
            text = pipe.read()
        _, status = os.waitpid(pid, 0)
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        ended.append({"signal": killed, **(json.loads(text) if text else {})})
    for end in (ready, say_ready, go, say_go):
        os.close(end)
    return ended


def main() -> None:
    """Answers line by line until standard input ends."""
    logs.configure(level="ERROR")
    for name in _HEAVY:
        importlib.import_module(name)
    configure_mappers()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(together(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
