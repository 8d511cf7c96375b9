"""Whose request it is, as the gateway asks again and again."""

from typing import Final

from contracts.environments import Environment
from gateway.asked import Caller
from kit.api_keys.keys import Key

EVERYBODY: Final = Caller(key_id="everybody", name="everybody", environments=frozenset(Environment))
"""Who sends no key, where none is needed."""


def caller_of(key: Key) -> Caller:
    """Returns who holds the key."""
    return Caller(
        key_id=key.id,
        name=key.name,
        environments=frozenset(key.environments),
        models=None if key.models is None else frozenset(key.models),
        admin=key.admin,
    )
