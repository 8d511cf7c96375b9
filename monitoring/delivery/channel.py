"""A channel: whom to tell, in which format, and of what."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from contracts.environments import Environment
from records.tables.monitoring_alerts import AlertKind, Severity

Format = Literal["slack", "pagerduty", "webhook", "alertmanager"]


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
        if not self.url.get_secret_value().startswith(("https://", "http://")):
            raise ValueError(f"the url of channel {self.name} must begin with https:// or http://")
        if self.format in ("webhook", "pagerduty") and self.secret is None:
            raise ValueError(f"channel {self.name} of format {self.format} needs a secret")
        return self
