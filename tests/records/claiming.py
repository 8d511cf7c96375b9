"""Claims due deliveries in a process of its own until there are none; prints their ids. Started by a test."""

import asyncio
import sys
from datetime import timedelta

from records.engine import opened
from records.repositories import deliveries
from tests.records.rows import after


async def main() -> None:
    """Waits for the starting signal, then claims two at a time."""
    async with opened() as records:
        async with records.reading() as session:
            await deliveries.dead_letters(session)  # connected, and everything is imported
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        while True:
            async with records.transaction() as session:
                claimed = await deliveries.claim_due(
                    session, now=after(60), lease=timedelta(hours=1), limit=2
                )
            if not claimed:
                return
            sys.stdout.write("".join(f"{delivery.id}\n" for delivery in claimed))


asyncio.run(main())
