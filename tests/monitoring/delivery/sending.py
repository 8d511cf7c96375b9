"""A sender of its own, for tests to kill: passes from noon on until nothing waits. Started by a test.

With RECORDS_URL and MONITORING_… in its environment. It says `ready` when all is imported and connected,
waits for a line, and says how many messages it delivered.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from monitoring.delivery.sender import send_due
from monitoring.settings import MonitoringSettings
from records.engine import Records, opened
from records.repositories.waiting import waiting

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def main() -> None:
    """Waits for the starting signal, then sends."""
    settings = MonitoringSettings.load()
    async with opened() as records:
        await anything_waits(records)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        delivered, now = 0, NOON
        while await anything_waits(records):
            delivered += (await send_due(records, settings, now=now)).delivered
            now += timedelta(seconds=1)
    sys.stdout.write(f"{delivered}\n")


async def anything_waits(records: Records) -> bool:
    """Tells whether any message waits."""
    async with records.reading() as session:
        return bool(await waiting(session))


asyncio.run(main())
