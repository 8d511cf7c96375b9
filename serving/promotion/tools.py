"""What a move works with: the registry, the place of serving, and the bundles of this machine."""

from collections.abc import Callable
from dataclasses import dataclass

from kit.bundle import Bundle
from kit.home import Home
from records.model_registry import ModelRegistry
from serving.deployers.deployer import Deployer
from serving.promotion.journal import Move


@dataclass(frozen=True)
class Tools:
    """One of each, open; `opened` makes them from the settings."""

    home: Home
    registry: ModelRegistry
    deployer: Deployer

    def bundle(self, model: str, version: str) -> Bundle:
        """Returns the verified bundle of a version, fetched from the registry if it is not here yet."""
        from records.bundles import fetched

        return fetched(self.registry, self.home, model, version)


Told = Callable[[Move, bool], None]
"""Called when a step begins (False, its journal is written) and when it is done (True)."""


def silent(_move: Move, _done: bool) -> None:
    """Tells nobody."""


def opened(home: Home) -> Tools:
    """Returns the tools of this machine; which place of serving, the settings tell.

    Raises:
        RegistryUnavailable: MLflow does not answer.
        SettingsError: a setting is wrong.
    """
    from records import model_registry
    from serving.deployers.choice import chosen

    registry = model_registry.opened(home)
    return Tools(home, registry, chosen(home, registry))
