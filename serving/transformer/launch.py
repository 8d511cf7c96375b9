"""How a transformer is started on this machine, for whoever keeps processes."""

import sys
from pathlib import Path
from typing import Final

from serving.runtimes.triton import Command

STOP_SECONDS: Final = 6
"""How long it may take to end after SIGTERM: requests in flight are answered first."""


def command(route: Path, *, port: int, host: str = "127.0.0.1") -> Command:
    """Returns how to start the transformer that follows `route` and listens on `port`."""
    return Command(
        (sys.executable, "-m", "serving.transformer", "--http_port", str(port)),
        {"TRANSFORMER_ROUTE": str(route), "TRANSFORMER_HOST": host, "PYTHONUNBUFFERED": "1"},
    )
