"""What is sent to a channel: one HTTP request, ready."""

import importlib.metadata
import json
from dataclasses import dataclass, field
from typing import Any, Final

JSON_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A POST of JSON; neither its address nor what it says is shown by `repr`, for both hold secrets."""

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    method: str = "POST"


def json_request(url: str, document: Any, headers: dict[str, str] | None = None) -> Request:
    """Returns the request that posts `document` to `url`."""
    return Request(url=url, headers=common_headers() | (headers or {}), body=json_bytes(document))


def json_bytes(document: Any) -> bytes:
    """Returns `document` as compact JSON in UTF-8."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def common_headers() -> dict[str, str]:
    """Returns the headers of every request."""
    return {
        "Content-Type": JSON_TYPE,
        "User-Agent": f"sluice/{importlib.metadata.version('sluice')}",
        # Nothing is unpacked here, so nothing can unpack to more than it was.
        "Accept-Encoding": "identity",
    }
