"""Settings of the gateway (prefix `GATEWAY_`)."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, field_validator

from contracts.environments import DEFAULT, Environment
from contracts.workloads import DEFAULT as DEFAULT_WORKLOAD
from kit.settings import Settings, settings_config

_ORIGIN: Final = re.compile(r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")


class GatewaySettings(Settings):
    """Where the gateway listens, whom it lets in, how much it takes on, and where answers come from."""

    owner = "gateway"
    model_config = settings_config("GATEWAY_")

    # Where it listens.
    host: str = "127.0.0.1"
    """The address to listen on; `0.0.0.0` in a container."""

    port: int = Field(default=8000, ge=0, le=65_535)
    """The port to listen on; 0 for any that is free."""

    development: bool = False
    """On a developer's machine: a development key is made at the start and kept in a file of mode 0600."""

    notice_seconds: float = Field(default=0, ge=0, le=60)
    """How long requests are still taken after the gateway was told to stop, while /health/ready says 503: as
    long as a load balancer needs to notice."""

    drain_seconds: float = Field(default=10, gt=0, le=600)
    """How long requests in flight may take then; what is not answered is told that the gateway stops."""

    # Where requests go.
    backend: Literal["oip", "embedded"] = "oip"
    """`oip` asks the model servers of each environment; `embedded` answers in this process."""

    environments: tuple[Environment, ...] = tuple(Environment)
    """The environments that this gateway serves."""

    default_environment: Environment = DEFAULT
    """Where a request goes that does not say X-Environment."""

    default_model: str = DEFAULT_WORKLOAD
    """The model that /v1 asks."""

    upstreams: dict[Environment, dict[str, str]] = Field(default_factory=dict)
    """In a cluster: for each environment the URL of each model's server, as JSON
    `{"staging": {"spam-detector": "http://…"}}`. Unset on one machine, where `sluice up` writes routes."""

    direct_models: tuple[str, ...] = ()
    """Of `upstreams`: models without a transformer, which take tensors and no e-mails."""

    bundles: dict[Environment, Path] = Field(default_factory=dict)
    """Of the embedded backend: the folder of each environment's bundle, as JSON. Unset on one machine, where
    the routes name it."""

    embedded_senders: bool = False
    """Of the embedded backend: look up sender history in Feast's online store; without it every sender is
    unknown."""

    upstream_connections: int = Field(default=128, ge=1, le=10_000)
    """Connections to each environment's servers, kept open."""

    timeout_seconds: float = Field(default=2, gt=0, le=60)
    """How long a request may take if its caller does not say (X-Request-Timeout-Ms)."""

    explain_timeout_seconds: float = Field(default=10, gt=0, le=60)
    """The same if an explanation is asked for: for its first one a server imports XGBoost."""

    max_timeout_seconds: float = Field(default=30, gt=0, le=600)
    """How long a request may take at most, whatever its caller says."""

    upstream_tries: int = Field(default=2, ge=1, le=5)
    """How often an inference that could not be sent, or whose connection broke, is tried in all, within the
    request's time."""

    breaker_failures: int = Field(default=5, ge=1, le=1000)
    """Failures in a row of one environment's server until its requests are refused at once."""

    breaker_seconds: float = Field(default=2, gt=0, le=600)
    """How long they are, until one is tried again."""

    shadow_environment: Environment | None = None
    """The environment whose requests are mirrored to the other one; unset for no shadow."""

    shadow_share: float = Field(default=0.1, ge=0, le=1)
    """The share of them that is mirrored."""

    shadow_at_once: int = Field(default=8, ge=1, le=1000)
    """Mirrored requests under way; further ones are skipped and counted."""

    # Whom it lets in.
    authentication: bool = True
    """Whether a key is needed; without it everybody may ask everything but admin pages. It stays on unless
    this is `development`, or `protected_otherwise`."""

    protected_otherwise: bool = False
    """Outside development: something before the gateway lets in only who may, so that `authentication` may be
    off."""

    keys_file: Path | None = None
    """The file of API keys (`sluice keys`); unset means under SLUICE_HOME. In a cluster, a mounted Secret."""

    attempts_per_minute: int = Field(default=20, ge=1, le=10_000)
    """Wrong keys from one address in a minute; then it waits."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    https_only: bool = False
    """Refuse plain HTTP; behind a proxy that ends TLS, name it in `trusted_proxies`."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call from a browser, as `https://app.example.org`; a wildcard is refused."""

    metrics_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may read /metrics without an admin key, unless the request came through a proxy."""

    # How much it takes on.
    max_body_bytes: int = Field(default=4 << 20, ge=1024, le=1 << 30)
    """Bytes of one request's body; a longer one is refused before it is read."""

    max_bytes_at_once: int = Field(default=256 << 20, ge=1024, le=1 << 36)
    """Bytes of the bodies of all requests that are worked on."""

    max_email_bytes: int = Field(default=2 << 20, ge=1024, le=1 << 30)
    """Bytes of one e-mail; a longer one is refused, and alone if it stands in a batch."""

    max_batch: int = Field(default=256, ge=1, le=4096)
    """E-mails of one batch."""

    rate_limit: str = Field(default="6000/minute", pattern=r"^[1-9][0-9]{0,8}/(second|minute|hour)$")
    """Requests of one key, as `COUNT/second|minute|hour`; an e-mail of a batch counts as one."""

    rate_limit_redis: SecretStr | None = None
    """Where rates are counted when several gateways run, as `redis://host:6379`; unset means in memory."""

    requests_at_once: int = Field(default=256, ge=1, le=10_000)
    """Requests that are worked on."""

    requests_waiting: int = Field(default=256, ge=0, le=100_000)
    """Requests that may wait for their turn; further ones are told to come back."""

    requests_at_once_per_key: int = Field(default=128, ge=1, le=10_000)
    """Requests of one key that are worked on."""

    # What it remembers.
    record: bool = True
    """Whether predictions are written to the records."""

    records_queue: int = Field(default=10_000, ge=1, le=1_000_000)
    """Predictions held in memory until they are written; the rest goes to the spool."""

    records_batch: int = Field(default=500, ge=1, le=10_000)
    """Rows of one write."""

    spool: Path | None = None
    """Folder of the spool, where predictions wait for the database; unset means under SLUICE_HOME."""

    spool_max_bytes: int = Field(default=1 << 30, ge=1 << 16, le=1 << 40)
    """Bytes of the spool; beyond it predictions are dropped, which is counted, and warned of before."""

    spool_fsync: Literal["always", "interval", "never"] = "interval"
    """When the spool is forced to the disk: at each write, every `spool_fsync_seconds`, or by the system."""

    spool_fsync_seconds: float = Field(default=0.2, gt=0, le=60)
    """Of `interval`: what is lost at most when the machine dies."""

    # What it tells of itself.
    otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://[^/]+")
    """Where traces go (OTLP over HTTP), such as `http://collector:4318`; unset for none."""

    trace_share: float = Field(default=0.01, ge=0, le=1)
    """The share of requests without a traceparent that is traced."""

    docs: bool = True
    """Whether /docs, /redoc and /openapi.json are offered."""

    @field_validator("trusted_proxies", "metrics_networks")
    @classmethod
    def _are_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for network in given:
            ip_network(network)
        return given

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.match(origin) for origin in given):
            raise ValueError("each origin is written as https://app.example.org; wildcards are refused")
        return given

    @field_validator("environments")
    @classmethod
    def _is_some(cls, given: tuple[Environment, ...]) -> tuple[Environment, ...]:
        if not given or len(set(given)) != len(given):
            raise ValueError("names at least one environment, and each one once")
        return given
