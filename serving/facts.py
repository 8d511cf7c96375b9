"""What is remembered of an answered message: the same facts wherever a model answers (contracts/facts.py)."""

from contracts.bundle import BundleContract
from contracts.facts import (
    CHARACTER_COUNT,
    KNOWN_SHARE,
    PLACEHOLDER_SHARE,
    TOKEN_COUNT,
    UNIQUE_SHARE,
    Facts,
)
from feature_repo.vocabulary import Vocabulary
from serving.extraction import Extracted


def text_statistics(message: Extracted, vocabulary: Vocabulary) -> dict[str, float]:
    """Returns numbers about the text and no word of it; `vocabulary` is that of the model that answers."""
    statistics = {
        TOKEN_COUNT: float(message.statistics.token_count),
        CHARACTER_COUNT: float(message.statistics.character_count),
        UNIQUE_SHARE: message.statistics.unique_share,
        PLACEHOLDER_SHARE: message.statistics.placeholder_share,
    }
    known = vocabulary.known_share(message.text)
    return statistics if known is None else {**statistics, KNOWN_SHARE: known}


def facts(
    message: Extracted, defaulted: int, statistics: dict[str, float], contract: BundleContract
) -> Facts:
    """Returns the facts of one message.

    Args:
        message: As it was extracted.
        defaulted: How many of its sender's numbers are defaults.
        statistics: Those of its text.
        contract: Of the version that answered.
    """
    return Facts(
        sender=message.sender,
        sender_domain=message.sender_domain,
        subject_sha256=message.subject_sha256,
        defaulted_features=defaulted,
        text_statistics=statistics,
        threshold=contract.threshold,
        schema_digest=contract.schema_digest,
    )
