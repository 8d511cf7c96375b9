"""A channel: whom to tell, in which format, and of what."""

import base64
import binascii
import re
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from contracts.environments import Environment
from records.tables.monitoring_alerts import AlertKind, Severity

Format = Literal["slack", "pagerduty", "webhook", "alertmanager"]

SIGNING_PREFIX: Final = "whsec_"
_VISIBLE: Final = re.compile(r"[!-~]+")
_SIGNING_BYTES: Final = range(24, 65)
"""What Standard Webhooks asks of a symmetric secret: 192 to 512 bits."""


class Channel(BaseModel):
    """One entry of MONITORING_CHANNELS."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    format: Format
    url: SecretStr
    """Slack: the incoming webhook. PagerDuty: `https://events.pagerduty.com/v2/enqueue`. Alertmanager: its
    root. It may hold a secret itself, so it is never logged whole."""

    secret: SecretStr | None = None
    """`webhook`: the signing secret (`whsec_…`), required. `pagerduty`: the routing key, required.
    `alertmanager`: a bearer token, if it wants one. `slack`: none."""

    min_severity: Severity = Severity.INFO
    environments: tuple[Environment, ...] = tuple(Environment)
    kinds: tuple[AlertKind, ...] = tuple(AlertKind)

    @model_validator(mode="after")
    def _complete(self) -> "Channel":
        if trouble := _url_trouble(self.url.get_secret_value()):
            raise ValueError(f"the url of channel {self.name} {trouble}")
        if trouble := _secret_trouble(self.format, self.secret):
            raise ValueError(f"channel {self.name} of format {self.format} {trouble}")
        return self


def _url_trouble(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        return "must begin with https:// or http://"
    if not _VISIBLE.fullmatch(url):
        return "must be ASCII, without spaces"
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named:
        return "names no host, or no port that exists"
    if "@" in parts.netloc:
        return "must not hold a user or a password"
    return "must not hold a fragment (#)" if "#" in url else ""


def _secret_trouble(form: Format, secret: SecretStr | None) -> str:
    if secret is None:
        return "needs a secret" if form in ("webhook", "pagerduty") else ""
    text = secret.get_secret_value()
    if form == "slack":
        return "takes no secret: its url is the secret"
    if not _VISIBLE.fullmatch(text):
        return "has a secret with spaces, or none of ASCII"
    if form == "webhook" and not signs(text):
        return f"needs a secret of {SIGNING_PREFIX} and the base64 of 24 to 64 random bytes"
    return ""


def signs(secret: str) -> bool:
    """Tells whether `secret` is one that Standard Webhooks signs with."""
    if not secret.startswith(SIGNING_PREFIX):
        return False
    text = secret.removeprefix(SIGNING_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # padding may be left out
    except binascii.Error:
        return False
    return len(key) in _SIGNING_BYTES
