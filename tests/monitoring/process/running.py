"""The monitoring process as it really runs: started, asked, told to end, killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from contracts.monitoring import address_file

PATIENCE_SECONDS = 60
PREFIXES = ("SLUICE_", "MONITORING_", "RECORDS_", "GATEWAY_")


def until(holds: Callable[[], Any], told: Callable[[], str] = str) -> Any:
    """Returns what `holds` returns, once that is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        if found := holds():
            return found
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)


class Running:
    """A process of `home`, its log, and a client of it."""

    def __init__(self, home: Path, log: Path, **variables: str) -> None:
        self.home = home
        self._log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
        own = {"SLUICE_HOME": str(home), "MONITORING_PORT": "0", "MONITORING_CHECK_EVERY": "1h"}
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                (sys.executable, "-m", "monitoring"),
                env=kept | own | variables,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self) -> str:
        """All that it has logged."""
        return self._log.read_text("utf-8")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log lines."""
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]

    def told(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Returns the lines about `event` with these fields."""
        return [line for line in self.lines if line["event"] == event and fields.items() <= line.items()]

    def wait_for(self, event: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Returns the line about `event`, once there are `count` of them."""
        until(lambda: len(self.told(event, **fields)) >= count or self._ended(), lambda: self.text)
        found = self.told(event, **fields)
        assert len(found) >= count, self.text
        return found[-1]

    def url(self) -> str:
        """Returns where it listens, once it does."""
        return str(self.wait_for("monitoring_listening")["url"])

    def get(self, path: str) -> httpx.Response:
        """Returns what it answers."""
        return httpx.get(self.url() + path, timeout=PATIENCE_SECONDS)

    def stop(self) -> int:
        """Tells it to end, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """Ends it as a crash does."""
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def _ended(self) -> bool:
        return self.process.poll() is not None


@contextmanager
def running(home: Path, log: Path, **variables: str) -> Iterator[Running]:
    """Yields a process that listens, and is gone afterwards whatever happens."""
    made = Running(home, log, **variables)
    try:
        made.url()
        assert address_file(home).exists()
        yield made
    finally:
        made.kill()
