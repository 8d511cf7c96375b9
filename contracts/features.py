"""The 24 numbers of `spam-detector`: names, order, dtypes, bounds and one sentence each.

This list is the only place where a feature is named. Training, serving, drift and documentation
render it, and `SCHEMA_DIGEST` travels with every model, so that a model is never fed by another
list than the one it was trained on.

The order of `NUMERIC_FEATURES` is the column order of the model's `numeric` input, FP32 [N, 24]:
10 header numbers, 6 structure numbers, 8 sender-history numbers. No feature reads a list header,
Delivered-To, Received, a message id, a mailer name or an absolute date: on the public corpus these
tell where a message was collected, and not what it is.
"""

import hashlib
import json
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field


class Family(StrEnum):
    """A group of features that drifts together and is judged together."""

    HEADER = "header"
    STRUCTURE = "structure"
    SENDER = "sender"


class Feature(BaseModel):
    """One number of the model's input: what it means and what values it may take.

    `default` is the value of an unknown sender, or of an empty message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    family: Family
    dtype: Literal["count", "share", "flag", "days"]
    low: float
    high: float
    default: float
    sentence: str

    def clip(self, value: float) -> float:
        """Returns `value` inside the bounds of this feature; the extractor saturates, it never refuses."""
        return min(max(value, self.low), self.high)


def _header(name: str, dtype: Literal["count", "share", "flag"], high: float, sentence: str) -> Feature:
    return Feature(
        name=name, family=Family.HEADER, dtype=dtype, low=0, high=high, default=0, sentence=sentence
    )


def _structure(name: str, dtype: Literal["count", "share", "flag"], high: float, sentence: str) -> Feature:
    return Feature(
        name=name, family=Family.STRUCTURE, dtype=dtype, low=0, high=high, default=0, sentence=sentence
    )


def _sender(
    name: str, dtype: Literal["count", "share", "days"], high: float, sentence: str, default: float = 0
) -> Feature:
    return Feature(
        name=name, family=Family.SENDER, dtype=dtype, low=0, high=high, default=default, sentence=sentence
    )


HEADER_FEATURES: Final = (
    _header("recipient_count", "count", 1000, "Addresses in To and Cc together."),
    _header("recipient_is_hidden", "flag", 1, "1 if neither To nor Cc holds an address."),
    _header(
        "subject_length",
        "count",
        1000,
        "Characters of the decoded subject, without reply prefixes and leading [tags].",
    ),
    _header("subject_uppercase_share", "share", 1, "Upper-case letters among the letters of the subject."),
    _header(
        "subject_punctuation_count",
        "count",
        100,
        "Exclamation, question, currency and per-cent signs in the subject.",
    ),
    _header("subject_is_encoded", "flag", 1, "1 if the subject is written in encoded words (RFC 2047)."),
    _header("subject_is_reply", "flag", 1, "1 if the subject begins with a reply or forward prefix."),
    _header("sender_name_length", "count", 200, "Characters of the display name in From; 0 without one."),
    _header(
        "sender_digit_share", "share", 1, "Digits among the characters before the @ of the From address."
    ),
    _header("reply_to_differs", "flag", 1, "1 if Reply-To names another domain than From."),
)

STRUCTURE_FEATURES: Final = (
    _structure("part_count", "count", 100, "MIME leaf parts."),
    _structure("attachment_count", "count", 100, "Parts that are attachments or neither text nor multipart."),
    _structure(
        "html_share", "share", 1, "Visible characters that come from HTML parts, of all visible characters."
    ),
    _structure("link_count", "count", 1000, "Web links in text and in HTML."),
    _structure(
        "obfuscation_count",
        "count",
        10000,
        "Characters dropped or folded to undo hiding: zero-width, homoglyph, hidden HTML.",
    ),
    _structure(
        "defect_count",
        "count",
        1000,
        "Violations of the mail standards met while parsing, shared by headers and body.",
    ),
)

SENDER_FEATURES: Final = (
    _sender("sender_message_count", "count", 1e6, "Earlier messages of this address."),
    _sender(
        "sender_spam_ratio",
        "share",
        1,
        "Spam among this address' earlier labelled messages, one of each added: (spam + 1) / (labelled + 2).",
        0.5,
    ),
    _sender("sender_subject_count", "count", 1e6, "Distinct subjects of this address' earlier messages."),
    _sender(
        "sender_link_rate", "share", 1, "Earlier messages of this address that hold a web link, as a share."
    ),
    _sender(
        "sender_days_known",
        "days",
        36500,
        "Days between the first and the latest earlier message of this address.",
    ),
    _sender("domain_message_count", "count", 1e6, "Earlier messages of this sender domain."),
    _sender(
        "domain_spam_ratio",
        "share",
        1,
        "Spam among this domain's earlier labelled messages, one of each added: (spam + 1) / (labelled + 2).",
        0.5,
    ),
    _sender(
        "domain_days_known",
        "days",
        36500,
        "Days between the first and the latest earlier message of this domain.",
    ),
)

MESSAGE_FEATURES: Final = HEADER_FEATURES + STRUCTURE_FEATURES
"""The 16 numbers that a message alone decides, in order."""

NUMERIC_FEATURES: Final = MESSAGE_FEATURES + SENDER_FEATURES
"""All 24 numbers, in the column order of the model's `numeric` input."""

NUMERIC_NAMES: Final = tuple(feature.name for feature in NUMERIC_FEATURES)

TEXT_TERMS: Final = 500
"""TF-IDF terms inside the model; with the 24 numbers they are the 524 features."""

MAX_TOKENS: Final = 20_000
"""Most tokens of the `text` input, whatever came in. Triton pads a batch to its longest row."""

LABEL_DELAY_SECONDS: Final = 24 * 3600
"""A label is known to the sender history this long after its message, never earlier."""


def _schema_digest() -> str:
    facts = {
        "numeric": [feature.model_dump(mode="json", exclude={"sentence"}) for feature in NUMERIC_FEATURES],
        "text_terms": TEXT_TERMS,
        "max_tokens": MAX_TOKENS,
        "label_delay_seconds": LABEL_DELAY_SECONDS,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


SCHEMA_DIGEST: Final = _schema_digest()
"""The feature schema version: SHA-256 over everything above that a model depends on."""
