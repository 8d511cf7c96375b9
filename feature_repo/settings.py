"""Settings of parsing, extraction and the feature stores (prefix `FEATURE_REPO_`)."""

from typing import Literal

from pydantic import Field, SecretStr

from contracts.features import MAX_TOKENS
from kit.settings import Settings, settings_config


class FeatureRepoSettings(Settings):
    """Limits on what is read from a message, and where the sender features live."""

    owner = "feature_repo"
    model_config = settings_config("FEATURE_REPO_")

    message_max_bytes: int = Field(default=1 << 20, ge=1024, le=1 << 26)
    """Bytes of a message that are read; what lies beyond is ignored and counted as a defect."""

    message_max_parts: int = Field(default=100, ge=1, le=10_000)
    """MIME parts that are read; further ones are ignored and counted as a defect."""

    message_max_depth: int = Field(default=10, ge=1, le=100)
    """Levels of nested MIME parts that are read; deeper ones are ignored and counted as a defect."""

    message_max_tokens: int = Field(default=MAX_TOKENS, ge=100, le=MAX_TOKENS)
    """Tokens of the normalised text; the first ones are kept."""

    online_store: Literal["sqlite", "redis"] = "sqlite"
    """Where online sender features live: a file on this machine, or Redis."""

    redis_connection: SecretStr = SecretStr("127.0.0.1:6379")
    """Feast's Redis connection string, `host:port[,db=N][,ssl=true][,password=…]`; for `redis` only."""

    redis_timeout_seconds: float = Field(default=0.5, gt=0, le=60)
    """How long a lookup waits for Redis, to connect and to answer; what the connection string says wins."""

    history_max_age_days: int = Field(default=365, ge=1, le=36_500)
    """Sender history older than this counts as unknown, in training and online alike."""
