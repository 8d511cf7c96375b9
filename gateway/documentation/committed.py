"""The OpenAPI document as a file: that of a gateway put together without a machine's settings."""

from pathlib import Path

import orjson

from gateway.assembly import assembled
from gateway.settings import GatewaySettings
from kit.home import Home


def rendered() -> str:
    """Returns the OpenAPI document as it is committed: indented, so that a change can be read."""
    settings = GatewaySettings(backend="oip", development=True, keys_file=Path("keys.json"))
    document = assembled(settings, Home(Path())).document()
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"
