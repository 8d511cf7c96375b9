"""A process that answers without a pause until it is ended; test_kills.py ends it.

Usage: python -m tests.gateway.memory.answering ADDRESS HOME FSYNC. Prints one JSON line after each handful of
answers: how many were recorded, and how many of them outlive the process. SIGTERM ends it as a gateway ends.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from kit import logs
from tests.gateway.memory.answers import answered, remembering

HANDFUL = 20


async def main(address: str, home: Path, fsync: str) -> None:
    """Records until SIGTERM, then closes."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    recorded = 0
    async with remembering(home, address, spool_fsync=fsync, records_batch=100) as memory:
        while not ended.is_set():
            for _ in range(HANDFUL):
                memory.record(answered(recorded))
                recorded += 1
            sys.stdout.write(json.dumps({"recorded": recorded, "kept": memory.kept}) + "\n")
            sys.stdout.flush()
            await asyncio.sleep(0.02)
    sys.stdout.write(json.dumps({"recorded": recorded, "kept": memory.kept}) + "\n")


if __name__ == "__main__":
    logs.configure()
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
