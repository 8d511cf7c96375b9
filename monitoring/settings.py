"""Settings of monitoring (prefix `MONITORING_`)."""

import ipaddress
from collections import Counter
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from kit.settings import Settings, settings_config
from monitoring.delivery.channel import SIGNING_PREFIX, Channel, signs

SESSION_SECRET_LENGTH = 32
DURATION = r"^[1-9][0-9]{0,5}[smhd]$"


class MonitoringSettings(Settings):
    """How often and how strictly traffic is compared with what a model was made on."""

    owner = "monitoring"
    model_config = settings_config("MONITORING_")

    # When, and over what.
    drift_every: str = Field(default="1h", pattern=DURATION)
    """How often the scheduler looks, as `30m`, `1h` or `1d`; a window that has too few rows yet waits and
    grows."""

    drift_window: str = Field(default="24h", pattern=DURATION)
    """How far back a run looks that is not told: from the end of the last measured window, but not further
    than this. Longer where traffic is thin."""

    drift_min_rows: int = Field(default=200, ge=20, le=1_000_000)
    """Predictions that a window must hold; fewer are refused."""

    drift_max_rows: int = Field(default=100_000, ge=100, le=1_000_000)
    """Predictions of a window that are looked at: its latest ones."""

    # How strictly.
    drift_false_alarms: float = Field(default=0.01, gt=0, le=0.2)
    """The share of runs that may find drift in any family where there is none."""

    drift_floor: float = Field(default=0.08, ge=0, le=1)
    """The least size of a drift: the share of predictions that have changed their place in a feature. A
    smaller one is told and is no drift, however sure it is."""

    drift_deals: int = Field(default=2000, ge=500, le=100_000)
    """Times that the rows are dealt out anew to see what chance does. With F families, a p-value must be able
    to fall below `drift_false_alarms` / F: more deals for stricter alarms."""

    # How good the answers are.
    performance_min_labels: int = Field(default=50, ge=10, le=1_000_000)
    """Labelled predictions that a window must hold for its live figures to be judged."""

    performance_window: str = Field(default="30d", pattern=DURATION)
    """How far back live figures look: labels come late, and slowly."""

    performance_floor: float = Field(default=0.05, ge=0, le=1)
    """The least fall of a figure below the certificate's that is told as one."""

    # What is written for people.
    report_when: Literal["drift", "always", "never"] = "drift"
    """When a run writes its HTML report: where something drifted, always or never. About 4 MB each."""

    report_columns: int = Field(default=8, ge=1, le=50)
    """Columns in the HTML report at most: what drifted, then what leads each family."""

    report_rows: int = Field(default=5000, ge=100, le=100_000)
    """Rows of each side that the HTML report draws; a random choice where there are more."""

    # Alerts.
    quiet_runs: int = Field(default=3, ge=1, le=1000)
    """Runs in a row without its cause after which an alert resolves itself."""

    defaulted_share: float = Field(default=0.2, gt=0, le=1)
    """The share of predictions answered with default features from which on the features count as stale."""

    error_share: float = Field(default=0.02, gt=0, le=1)
    """The share of an environment's requests that failed on our side from which on there is a model error."""

    runbooks: str = Field(default="docs/runbooks", pattern=r"^[^\s?#]+$")
    """Where the runbooks lie: a folder or the URL of one; messages link to `<runbooks>/<kind>.md`."""

    # Channels.
    channels: tuple[Channel, ...] = ()
    """Who is told, as JSON `[{"name": "on-call", "format": "slack", "url": "https://…"}]`; it holds secrets,
    so better in the file that MONITORING_CHANNELS_FILE names. docs/webhooks.md has every format."""

    egress_allowed: tuple[str, ...] = ()
    """Private, loopback or link-local networks that messages may go to all the same, as JSON
    `["10.2.0.0/16", "127.0.0.1/32"]`. All others of these are refused, whatever a name resolves to."""

    delivery_every: str = Field(default="5s", pattern=DURATION)
    """How often the sender looks for messages that are due."""

    delivery_timeout_seconds: float = Field(default=10, gt=0, le=120)
    """Longest time of one attempt; its lease is longer."""

    delivery_give_up: str = Field(default="24h", pattern=DURATION)
    """How long a message is tried before it is put with the dead letters."""

    # The process: console, receiver, and what runs by the clock.
    host: str = "127.0.0.1"
    """The address that console and receiver listen on; `0.0.0.0` in a container."""

    port: int = Field(default=8010, ge=0, le=65_535)
    """Their port; 0 for any that is free."""

    public_url: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    """Where people and messages find the console; unset, the address it listens on."""

    keys_file: Path | None = None
    """The file of API keys that open the console; unset, `gateway/keys.json` under SLUICE_HOME."""

    session_secret: SecretStr | None = None
    """What the console signs its sessions with, of 32 characters or more; the same for all who answer at one
    address. Unset, one is made and kept under SLUICE_HOME."""

    session_lasts: str = Field(default="8h", pattern=DURATION)
    """How long a person stays signed in to the console."""

    schedule: bool = True
    """Whether this process runs drift, checks, the sender and the ingest of features by the clock. `false`
    in a cluster where CronJobs do."""

    ingest_every: str = Field(default="10m", pattern=DURATION)
    """How often predictions and feedback become sender history (`sluice features ingest`)."""

    check_every: str = Field(default="1m", pattern=DURATION)
    """How often the gateway's own figures are looked at: lost predictions, failing models."""

    gateway_url: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    """Whose figures those are; unset, the gateway that `sluice up` started here, if it did."""

    # The receiver.
    hook_secrets: tuple[SecretStr, ...] = ()
    """Secrets (`whsec_…`) whose signatures POST /hooks/drift accepts, as JSON; several while one takes the
    place of another. Without one nothing is accepted."""

    hook_tolerance: str = Field(default="5m", pattern=DURATION)
    """How old, or how far ahead, a signed message may be; within it each message counts once."""

    hook_token: SecretStr | None = None
    """The bearer token of POST /hooks/alertmanager, as Alertmanager's `authorization` sends it. Without it
    nothing is accepted."""

    # The loop.
    retraining: Literal["off", "local", "kubeflow"] = "off"
    """What a received event starts: nothing, `sluice pipeline run` on this machine, or `sluice pipeline
    submit` to Kubeflow Pipelines."""

    retraining_cooldown: str = Field(default="6h", pattern=DURATION)
    """Shortest time between two runs for one model."""

    retraining_per_day: int = Field(default=2, ge=1, le=100)
    """Most runs for one model in 24 hours."""

    retraining_severity: Literal["info", "warning", "critical"] = "warning"
    """Events of less severity start nothing."""

    retraining_arguments: tuple[str, ...] = ()
    """Further arguments of the command, as JSON `["--trials", "5"]`."""

    auto_promote: bool = False
    """Whether a version that the loop trained may reach production without a person."""

    auto_promote_shadow: str = Field(default="24h", pattern=DURATION)
    """How long it must have been in staging before."""

    auto_promote_rows: int = Field(default=1000, ge=1, le=1_000_000)
    """Predictions in staging (shadow copies count) that it must have answered before."""

    auto_promote_disagreement: float = Field(default=0.05, ge=0, le=1)
    """The largest share of shadowed requests whose verdict may differ from production's."""

    @field_validator("session_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < SESSION_SECRET_LENGTH:
            raise ValueError(f"it must have {SESSION_SECRET_LENGTH} characters or more")
        return secret

    @field_validator("egress_allowed")
    @classmethod
    def _networks(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            ipaddress.ip_network(value)  # its ValueError says what is wrong with it
        return values

    @model_validator(mode="after")
    def _every_channel_once(self) -> Self:
        twice = [name for name, count in Counter(each.name for each in self.channels).items() if count > 1]
        if twice:
            raise ValueError(f"two channels are named {twice[0]}")
        return self

    @field_validator("hook_secrets")
    @classmethod
    def _hook_secrets_sign(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(signs(secret.get_secret_value()) for secret in secrets):
            raise ValueError(f"a secret is {SIGNING_PREFIX} and the base64 of 24 to 64 random bytes")
        return secrets
