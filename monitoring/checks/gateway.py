"""Reads the gateway's own figures: where settings say it is, or where `sluice up` started it."""

from datetime import datetime
from typing import Final

import httpx

from contracts.gateway import address_file
from contracts.headers import API_KEY
from contracts.monitoring import METRICS
from kit.home import HomeSettings
from monitoring.checks.snapshot import Snapshot, parsed
from monitoring.errors import GatewayUnread
from monitoring.parts import Parts

ANSWER_SECONDS: Final = 5.0
_BYTES_MAX: Final = 8 << 20
_OK: Final = 200


def address(parts: Parts) -> str | None:
    """Returns where the gateway is; None if no setting says so and none was started here."""
    if parts.settings.gateway_url:
        return parts.settings.gateway_url.rstrip("/")
    try:
        return address_file(parts.home.root).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


async def snapshot(gateway: str, *, now: datetime) -> Snapshot:
    """Returns the figures of the gateway at `gateway`.

    Raises:
        GatewayUnread: it does not answer, lets us not read them, or is none.
    """
    key = HomeSettings.load().api_key
    headers = {API_KEY: key.get_secret_value()} if key is not None else {}
    body = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as client,
            client.stream("GET", gateway + METRICS, headers=headers) as answer,
        ):
            status = answer.status_code
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _BYTES_MAX:
                    raise GatewayUnread(f"{gateway} answers with more than metrics can be.")
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise GatewayUnread(f"The gateway at {gateway} does not answer.", next_step="sluice status") from exc
    if status != _OK:
        raise GatewayUnread(
            f"The gateway at {gateway} does not let its figures be read ({status}).",
            next_step="Name this machine's network in GATEWAY_METRICS_NETWORKS, or set SLUICE_API_KEY to an "
            "admin key.",
        )
    return parsed(body.decode("utf-8", "replace"), gateway=gateway, at=now)
