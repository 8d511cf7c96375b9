"""The feature service: which views one model reads, under a name that a model may keep."""

from typing import Final

from contracts.features import SCHEMA_DIGEST
from feature_repo.feast_names import FeatureService, FeatureView

SERVICE_NAME: Final = "spam_detector_v1"


def spam_detector(sender_history: FeatureView, domain_history: FeatureView) -> FeatureService:
    """Returns the service of the 8 sender numbers.

    The sender view comes first: Feast's file store drops duplicates by the keys joined so far, and a sender
    decides its domain while a domain does not decide its sender.
    """
    return FeatureService(
        name=SERVICE_NAME,
        features=[sender_history, domain_history],
        description="Sender history of spam-detector, in the order of contracts/features.py.",
        tags={"schema_digest": SCHEMA_DIGEST},
    )
