"""What is remembered of one answered e-mail beside the answer: facts of the message, never its content.

The transformer and the scorer give it when the output `facts` is named; the gateway writes it to
`prediction_logs`.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

TOKEN_COUNT: Final = "token_count"  # noqa: S105 - no secret: tokens are words here
CHARACTER_COUNT: Final = "character_count"
UNIQUE_SHARE: Final = "unique_share"
"""Of the tokens: how many different ones there are for each; 0 of an empty text."""
PLACEHOLDER_SHARE: Final = "placeholder_share"
"""Of the tokens: how many stand for something that was masked; 0 of an empty text."""
KNOWN_SHARE: Final = "known_share"
"""Of the tokens: how many stand in a term of the model that answered; 0 of an empty text. Not there if the
model has no terms."""


class Facts(BaseModel):
    """One row's; as JSON it is one element of the output tensor `facts`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sender: str = ""
    """The From address in lower case; empty if there is none."""
    sender_domain: str = ""
    """The part of `sender` after the @."""
    subject_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Hex SHA-256 of the subject as it was read; None without a subject."""
    defaulted_features: int = Field(default=0, ge=0)
    """How many of the model's numbers are defaults because the sender's history was not to be had: the store
    was slow or down, or there is none. A sender of whom the store knows nothing counts nothing here."""
    text_statistics: dict[str, float] = Field(default_factory=dict)
    """By the names above; as in the output `text_statistics`."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """The threshold of the version that answered; None where the likeliest class decides."""
    schema_digest: str
    """The feature schema of the version that answered."""
