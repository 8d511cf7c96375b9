"""A process that has many events considered: `python -m tests.monitoring.retraining.flood HOME NAME COUNT`.

The records are those of RECORDS_URL, or of HOME. Prints what was decided, as JSON.
"""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

from kit import logs
from kit.home import Home
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.retraining.loop import consider
from monitoring.settings import MonitoringSettings
from records.engine import opened
from tests.monitoring.hooks import event

AT_ONCE = 4


async def main(home: Home, name: str, count: int) -> None:
    """Has `count` events considered, several at once."""
    settings = MonitoringSettings.load(retraining="local")
    async with opened() as records:
        parts = Parts(settings, home, records, Measures())
        sys.stdin.readline()  # until the other one is ready too
        numbers, told = iter(range(count)), Counter[str]()

        async def some() -> None:
            for number in numbers:
                decision, _ = await consider(parts, event(), message=f"{name}-{number}")
                told[decision.outcome.value] += 1

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    logs.configure(level="ERROR")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    asyncio.run(main(Home(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])))
