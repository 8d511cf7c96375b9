"""The gateway as an AWS Lambda function: events of API Gateway in, the same application, answers out.

One sandbox answers one request at a time, and stands still between two: nothing goes on after an answer. So
what is to be remembered is written before the answer is given, and the loop and its open parts are kept for
the next event. docs/embedded.md says how it is set up.
"""

import asyncio
from functools import cache
from typing import Any, Final

import structlog
from mangum import Mangum

from gateway.access_log import AccessLog
from gateway.app import Gateway
from gateway.assembly import assembled
from gateway.http import Receive, Scope, Send
from gateway.memory.memory import Memory
from gateway.settings import GatewaySettings
from kit import logs
from kit.home import Home, HomeSettings
from kit.settings import SettingsError
from records.settings import RecordsSettings

log = structlog.get_logger(__name__)

REMEMBER_SECONDS: Final = 2.0
"""How long an answer waits for the database; then its rows stay in the sandbox and go with the next one's."""
_LOOK_SECONDS: Final = 0.01
_TEXTS: Final = ["text/", "application/json", "application/problem+json", "application/javascript"]
"""Kinds of bodies that are handed over as they are; all others in Base64."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns the answer to one event of API Gateway (HTTP or REST), a function URL or a load balancer.

    Raises:
        SettingsError: a setting is missing or wrong; the first event of a sandbox opens everything.
    """
    return _opened()(event, context)


@cache
def _opened() -> Mangum:
    machine = HomeSettings.load()
    logs.configure(level=machine.log_level)
    settings = GatewaySettings.load()
    require_records(settings)
    gateway = assembled(settings, Home(machine.home), AccessLog())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(gateway.start())
    return Mangum(_remembering(gateway), lifespan="off", text_mime_types=_TEXTS)


def require_records(settings: GatewaySettings) -> None:
    """Returns if what is to be remembered has a place outside of the sandbox.

    Raises:
        SettingsError: it has none.
    """
    if settings.record and RecordsSettings.load().url is None:
        raise SettingsError(
            "A sandbox keeps no files, so predictions need a database.",
            next_step="Set RECORDS_URL; or GATEWAY_RECORD=false to remember nothing.",
        )


def _remembering(gateway: Gateway) -> Any:
    """Returns the application, which ends when what it answered is written."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await gateway(scope, receive, send)
        try:
            async with asyncio.timeout(REMEMBER_SECONDS):
                await _written(gateway.parts.memory)
        except TimeoutError:
            state = gateway.parts.memory.state()
            log.warning("predictions_wait", queued=state.queued, spool_bytes=state.spool_bytes)

    return app


async def _written(memory: Memory) -> None:
    """Returns when everything recorded is in the database."""
    await memory.flushed()
    while memory.state().spool_bytes:  # noqa: ASYNC110 - the spool is emptied by a task of its own
        await asyncio.sleep(_LOOK_SECONDS)
