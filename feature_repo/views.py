"""The two Feast views of sender history; their columns are the names of `contracts/features.py`."""

from datetime import timedelta
from typing import Final

from contracts.features import SENDER_FEATURES, Feature
from feature_repo.entities import SENDER, SENDER_DOMAIN
from feature_repo.feast_names import FeatureView, Field, Float64, Int64
from feature_repo.sources import domain_source, sender_source
from kit.home import Home

SENDER_COLUMNS: Final = tuple(f for f in SENDER_FEATURES if f.name.startswith("sender_"))
DOMAIN_COLUMNS: Final = tuple(f for f in SENDER_FEATURES if f.name.startswith("domain_"))


def sender_history(home: Home, max_age: timedelta) -> FeatureView:
    """Returns the view of what is known of an address: 5 numbers."""
    return FeatureView(
        name="sender_history",
        source=sender_source(home),
        entities=[SENDER],
        ttl=max_age,
        schema=[_field(feature) for feature in SENDER_COLUMNS],
        description="Volumes, spam ratio, subjects, links and age of one sender address.",
    )


def domain_history(home: Home, max_age: timedelta) -> FeatureView:
    """Returns the view of what is known of a sender domain: 3 numbers."""
    return FeatureView(
        name="domain_history",
        source=domain_source(home),
        entities=[SENDER_DOMAIN],
        ttl=max_age,
        schema=[_field(feature) for feature in DOMAIN_COLUMNS],
        description="Volume, spam ratio and age of one sender domain.",
    )


def _field(feature: Feature) -> Field:
    # Stored wide and cast once (feature_repo/sender_numbers.py), so that both paths round in the same place.
    return Field(
        name=feature.name,
        dtype=Int64 if feature.dtype == "count" else Float64,
        description=feature.sentence,
    )
