"""The gateway as a process: its parts put together, uvicorn around them, and a clean end.

At SIGTERM readiness says no; requests are still taken for as long as a load balancer needs to notice
(`notice_seconds`); then no connection is accepted, requests in flight are answered, and what is to be
remembered is written.
"""

import asyncio
import gc
import math
import socket
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final

import structlog
import uvicorn

from gateway.access_log import AccessLog
from gateway.app import Gateway
from gateway.assembly import assembled
from gateway.protocol import BoundedProtocol
from gateway.settings import GatewaySettings
from kit import logs
from kit.home import Home, HomeSettings
from kit.settings import SettingsError

log = structlog.get_logger(__name__)

_KEEP_ALIVE_SECONDS: Final = 75
_BACKLOG: Final = 2048


def serve() -> None:
    """Serves until the process is told to end.

    Raises:
        SettingsError: a setting is missing or wrong, or the port is taken.
        SystemExit: the gateway could not be started; the log holds the reason.
    """
    machine = HomeSettings.load()
    logs.configure(level=machine.log_level)
    settings = GatewaySettings.load()
    log_stream = None if sys.stderr.isatty() else sys.stderr
    gateway = assembled(settings, Home(machine.home), AccessLog(log_stream))
    server = Server(gateway)
    try:
        server.run()
    except SystemExit:  # with a code of uvicorn's own, which means something else here
        sys.exit(1)


class Server(uvicorn.Server):
    """uvicorn's, which tells the gateway before it stops, and leaves with 0 when it was told to stop."""

    def __init__(self, gateway: Gateway) -> None:
        settings = gateway.parts.settings
        super().__init__(
            uvicorn.Config(
                gateway,
                host=settings.host,
                port=settings.port,
                loop="uvloop",
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
            )
        )
        self._gateway = gateway
        self._settings = settings
        self._stops_at = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to stop; told again, it does not wait for whoever may still come."""
        del sig, frame
        stopping = self._gateway.stopping
        if stopping.told:
            self.should_exit = True
        stopping.told = True

    async def on_tick(self, counter: int) -> bool:
        """Tells, each tenth of a second, whether it is time to end."""
        if self._gateway.stopping.told:
            now = asyncio.get_running_loop().time()
            self._stops_at = min(self._stops_at, now + self._settings.notice_seconds)
            self.should_exit = self.should_exit or now >= self._stops_at
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the parts, then listens.

        Raises:
            SettingsError: it cannot listen there.
            SystemExit: a part could not be opened.
        """
        try:
            await super().startup(sockets)
        except SystemExit:
            if self.lifespan.should_exit:
                raise
            raise SettingsError(
                f"The gateway cannot listen on port {self._settings.port} of {self._settings.host}.",
                next_step="The log says why. Set GATEWAY_PORT to one that is free, or to 0 for any.",
            ) from None
        # What was imported and opened stays: the collector need not walk through it again and again.
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends it; a request that is cut off after its time is told so."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._settings.drain_seconds, self._give_up)
        await super().shutdown(sockets)
        timer.cancel()
        log.info("gateway_stopped")

    def _give_up(self) -> None:
        self._gateway.stopping.giving_up = True

    def _log_started_message(self, listeners: Sequence[socket.SocketType]) -> None:
        host, port, *_ = listeners[0].getsockname()
        log.info("gateway_listening", url=f"http://{host}:{port}", backend=self._settings.backend)
