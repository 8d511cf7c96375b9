"""Settings of the transformer (prefix `TRANSFORMER_`)."""

from pathlib import Path

from pydantic import Field

from kit.settings import Settings, settings_config


class TransformerSettings(Settings):
    """Where the transformer listens, what it serves, and how much it takes on."""

    owner = "serving.transformer"
    model_config = settings_config("TRANSFORMER_")

    host: str = "127.0.0.1"
    """The address to listen on; `0.0.0.0` in a container."""

    port: int = Field(default=8080, ge=0, le=65_535)
    """The port to listen on; `--http_port` stands above it."""

    route: Path | None = None
    """The route file that says which version is served, and where; it is read again when it changes."""

    bundle: Path | None = None
    """Without a route: the folder of the bundle that is served."""

    bundle_digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Without a route: the digest that the bundle must have, if it is known."""

    version: str | None = Field(default=None, pattern=r"^[1-9][0-9]*$")
    """Without a route: the version of the bundle, which is Triton's too."""

    predictor_host: str | None = None
    """Without a route: the host of Triton; `--predictor_host` stands above it."""

    predictor_http_port: int = Field(default=80, ge=1, le=65_535)
    """Without a route: the port of Triton's HTTP endpoint."""

    timeout_seconds: float = Field(default=2, gt=0, le=60)
    """How long a request may take if its caller does not say."""

    max_timeout_seconds: float = Field(default=30, gt=0, le=600)
    """How long a request may take at most, whatever its caller says."""

    max_body_bytes: int = Field(default=8 << 20, ge=1024, le=1 << 30)
    """Bytes of one request's body; a longer one is refused before it is read."""

    max_bytes_at_once: int = Field(default=64 << 20, ge=1024, le=1 << 34)
    """Bytes of the bodies of all requests that are worked on."""

    max_requests_at_once: int = Field(default=256, ge=1, le=100_000)
    """Requests that are worked on; further ones are refused, to be tried again."""

    max_emails: int = Field(default=128, ge=1, le=10_000)
    """E-mails of one request."""

    rows_per_call: int = Field(default=32, ge=1, le=1024)
    """Rows of one call to Triton, not more than its own largest batch."""

    calls_at_once: int = Field(default=2, ge=1, le=64)
    """Calls to Triton under way; what comes meanwhile goes together with the next one."""

    extraction_processes: int = Field(default=1, ge=1, le=64)
    """Processes that make the features of large requests, so that small ones do not wait for them."""

    inline_bytes: int = Field(default=32 << 10, ge=0, le=1 << 20)
    """Bytes of e-mail up to which a request's features are made at once, without another process."""

    sender_budget_seconds: float = Field(default=0.1, gt=0, le=10)
    """How long a request waits for the history of its senders; then it goes on with defaults."""

    sender_failures: int = Field(default=3, ge=1, le=1000)
    """Lookups in a row that fail or are late, until they are paused."""

    sender_pause_seconds: float = Field(default=1, gt=0, le=600)
    """How often a paused store is tried; until it answers, every request goes on with defaults at once."""

    drain_seconds: float = Field(default=5, gt=0, le=600)
    """How long requests in flight may take when the transformer is told to stop."""
