"""Whose history Feast keeps: a sender address, and the domain behind it."""

from feature_repo.feast_names import Entity, ValueType

SENDER = Entity(
    name="sender",
    join_keys=["sender"],
    value_type=ValueType.STRING,
    description="A From address in lower case (feature_repo/addresses.py).",
)
SENDER_DOMAIN = Entity(
    name="sender_domain",
    join_keys=["sender_domain"],
    value_type=ValueType.STRING,
    description="What stands after the last @ of a From address.",
)
