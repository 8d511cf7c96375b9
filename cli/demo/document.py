"""What the demo measured: the document in SLUICE_HOME/demo.json."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from contracts.environments import Environment


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Corpus(_Part):
    """The messages that the models learned from."""

    messages: int = Field(gt=0)
    spam: int = Field(gt=0)
    duplicates: int = Field(ge=0)
    """Messages that are near copies of an earlier one; no cluster of copies is in two splits."""
    fingerprint: str


class Model(_Part):
    """The first version, which the drift is measured on."""

    version: str
    f1: float
    """The mean over the evaluation's seeds, with its 95 % interval."""
    f1_low: float
    f1_high: float
    roc_auc: float
    recall_at_1pct_fpr: float
    time_split_f1: float | None
    """Fitted on the past and judged on the future; None where the corpus cannot be split by time."""
    threshold: float
    features: int


class Parity(_Part):
    """Estimator and exported graph, compared over the whole corpus and edge rows."""

    rows: int
    label_mismatches: int = Field(ge=0)
    max_abs_diff: float


class Serving(_Part):
    """What computes the answers."""

    runtime: str
    server_version: str


class Asked(_Part):
    """One real e-mail that was sent through the gateway."""

    environment: Environment
    version: str
    verdict: str
    probability: float = Field(ge=0, le=1)
    expected: str
    """Its label in the corpus; the model never saw the message."""
    latency_ms: float = Field(gt=0)


class Routing(_Part):
    """What the header and the key decide."""

    unknown_environment_status: int
    missing_header_environment: Environment
    wrong_scope_status: int


class OipClient(_Part):
    """`tritonclient`, as it comes from its makers, against /v2."""

    ok: bool


class Quiet(_Part):
    """A window of held-out messages as they were."""

    alarm: bool
    rows: int


class Shifted(_Part):
    """A window of the same kind of messages after the shift."""

    alarm: bool
    families: tuple[str, ...]
    rows: int


class Drift(_Part):
    """Both sides of the detector."""

    quiet: Quiet
    shifted: Shifted


class Webhook(_Part):
    """What arrived at the demo's own listener."""

    delivered: bool
    signature_valid: bool
    alert_key: str


class Rollback(_Part):
    """Production moved to the second version and back under requests."""

    source: str = Field(alias="from")
    to: str
    requests: int = Field(gt=0)
    failed_requests: int = Field(ge=0)

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class DemoDocument(_Part):
    """Everything; nothing in it was known before the run."""

    finished_at: datetime
    corpus: Corpus
    model: Model
    parity: Parity
    serving: Serving
    predictions: tuple[Asked, ...] = Field(min_length=2)
    routing: Routing
    oip_client: OipClient
    drift: Drift
    webhook: Webhook
    rollback: Rollback
    seconds: dict[str, float]
    """By chapter, and in all."""
