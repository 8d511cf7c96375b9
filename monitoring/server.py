"""The monitoring process: console, receiver, metrics and the jobs by the clock, with uvicorn around them.

At SIGTERM no connection is accepted any more, requests in flight are answered, and runs under way come to
their end, each within a bound; told again, it does not wait for runs.
"""

import gc
import math
import socket
from collections.abc import Sequence
from types import FrameType
from typing import Final

import structlog
import uvicorn

from contracts.monitoring import address_file
from kit import logs
from kit.files import write_text
from kit.home import Home, HomeSettings
from kit.settings import SettingsError
from monitoring import clockwork
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.protocol import BoundedProtocol
from monitoring.schedule import Schedule
from monitoring.settings import MonitoringSettings
from monitoring.web import Monitoring
from records.engine import Records, build_engine
from records.settings import RecordsSettings

DRAIN_SECONDS: Final = 10
_KEEP_ALIVE_SECONDS: Final = 30
_CONNECTIONS: Final = 500
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on is a setting

log: Final = structlog.get_logger(__name__)


def serve() -> None:
    """Serves until the process is told to end.

    Raises:
        SettingsError: a setting is missing or wrong, or the port is taken.
    """
    machine = HomeSettings.load()
    logs.configure(level=machine.log_level)
    settings = MonitoringSettings.load()
    Server(settings, Home(machine.home), RecordsSettings.load()).run()


class Server(uvicorn.Server):
    """uvicorn's, which tells where it listens, and leaves with 0 when it was told to stop."""

    def __init__(self, settings: MonitoringSettings, home: Home, memory: RecordsSettings) -> None:
        self._settings = settings
        self._address = address_file(home.root)
        self._url = ""
        self._records = Records(build_engine(memory))
        parts = Parts(settings, home, self._records, Measures())
        self._schedule = Schedule(home, clockwork.timed(parts)) if settings.schedule else None
        self._monitoring = Monitoring(parts, self._begin, self._end)
        self._told = False
        super().__init__(
            uvicorn.Config(
                self._monitoring,
                host=settings.host,
                port=settings.port,
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=math.ceil(DRAIN_SECONDS),
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to stop."""
        del sig, frame
        if self._told and self._schedule is not None:
            self._schedule.hurry()
        self._told = True
        self._monitoring.stopping = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins, then listens.

        Raises:
            SettingsError: it cannot listen there.
        """
        try:
            await super().startup(sockets)
        except SystemExit:
            if self.lifespan.should_exit:
                raise
            raise SettingsError(
                f"The console cannot listen on port {self._settings.port} of {self._settings.host}.",
                next_step="The log says why. Set MONITORING_PORT to one that is free, or to 0 for any.",
            ) from None
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends it, and says no longer that somebody answers here."""
        await super().shutdown(sockets)
        if self._address.exists() and self._address.read_text(encoding="utf-8").strip() == self._url:
            self._address.unlink(missing_ok=True)
        log.info("monitoring_stopped")

    async def _begin(self) -> None:
        if self._schedule is not None:
            await self._schedule.start()

    async def _end(self) -> None:
        if self._schedule is not None:
            await self._schedule.close()
        await self._records.close()

    def _log_started_message(self, listeners: Sequence[socket.SocketType]) -> None:
        host, port, *_ = listeners[0].getsockname()
        host = _LOOPBACK.get(host, host)
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        write_text(self._address, self._url + "\n")
        log.info("monitoring_listening", url=self._url)
