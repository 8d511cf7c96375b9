"""Questions to neighbours on loopback: one answer, or none."""

import ssl
from typing import Final

import httpx

_ANSWER_SECONDS: Final = 5

# Nothing here speaks TLS. Without a context of ours every question would read the certificates of all the
# world's authorities first: 20 ms of work, when a port is asked twenty times a second.
_NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def client(seconds: float = _ANSWER_SECONDS, *, base: str = "") -> httpx.Client:
    """Returns a client for neighbours; close it. Paths that it is asked for are below `base`."""
    return httpx.Client(base_url=base, timeout=seconds, trust_env=False, verify=_NO_AUTHORITIES)


def answer(url: str, seconds: float = _ANSWER_SECONDS) -> httpx.Response | None:
    """Returns what is answered at `url`, whatever it is; None if nothing is, or not in time."""
    with client(seconds) as asking:
        try:
            return asking.get(url)
        except httpx.TransportError:
            return None
