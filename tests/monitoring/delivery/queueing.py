"""A job of its own, for tests to kill: it sees a cause and queues who is told, in one transaction.

`python -m tests.monitoring.delivery.queueing before|after`: it stops there, as seen from the commit.
"""

import asyncio
import sys

from contracts.environments import Environment
from kit.home import home
from monitoring.alerts import book
from monitoring.alerts.book import Sighting
from monitoring.alerts.event import Evidence
from monitoring.settings import MonitoringSettings
from records.engine import opened
from records.repositories.alerts import Cause
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.records.rows import after

CAUSE = Cause("spam-detector", Environment.PRODUCTION, AlertKind.DATA_DRIFT, "header")


async def main(where: str) -> None:
    """Writes, and waits where it is told."""
    sighting = Sighting(
        severity=Severity.WARNING,
        summary="Received headers fell from 4 to 1.",
        evidence=Evidence(),
        seen_at=after(0),
    )
    async with opened() as records:
        async with records.transaction() as session:
            await book.sighted(session, MonitoringSettings.load(), home(), CAUSE, sighting)
            if where == "before":
                await _killed()
        await _killed()


async def _killed() -> None:
    sys.stdout.write("written\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
