"""A measurement with a known result."""

from kit.benchmark import Figure
from kit.errors import UsageError


def measure(_home: object) -> list[Figure]:
    """Returns one figure."""
    return [Figure("a thing", 2.0, "s", peer="another", ratio=0.5)]


def lack(_home: object) -> list[Figure]:
    """Cannot be measured."""
    raise UsageError("There is nothing to measure.", next_step="Bring something.")
