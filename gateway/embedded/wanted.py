"""Which bundles this gateway is to answer by: those of the settings, or of this machine's route files."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from pydantic import ValidationError

from contracts.environments import Environment
from contracts.routes import FOLDER, Route
from gateway.settings import GatewaySettings
from kit.bundle import Bundle
from kit.home import Home

log = structlog.get_logger(__name__)

Key = tuple[Environment, str]
_DIGITS: Final = 12


@dataclass(frozen=True)
class Wanted:
    """A bundle that is to answer for a model in an environment."""

    environment: Environment
    model: str
    folder: Path
    digest: str | None
    """The one that it must have, if it is known."""
    version: str | None
    """The registry's; None if nobody tells it."""
    since: datetime = field(compare=False)

    def version_of(self, bundle: Bundle) -> str:
        """Returns the version that answers name: the registry's, or what tells this bundle from others."""
        return self.version or bundle.digest[:_DIGITS]


class _Read(NamedTuple):
    signature: tuple[int, int, int]
    wanted: Wanted
    takes_emails: bool
    """A model that takes tensors is left to Triton."""


class Source:
    """Reads what is wanted; route files only when they have changed."""

    def __init__(self, settings: GatewaySettings, home: Home) -> None:
        self._environments = settings.environments
        self._folder = home.serving / FOLDER
        self._read: dict[Path, _Read] = {}
        self._broken: dict[Path, tuple[int, int, int]] = {}
        self._fixed = (
            {(wanted.environment, wanted.model): wanted for wanted in _configured(settings)}
            if settings.bundles
            else None
        )

    def wanted(self) -> dict[Key, Wanted]:
        """Returns what is wanted now. A route that cannot be read changes nothing, and is logged once."""
        if self._fixed is not None:
            return self._fixed
        found: dict[Key, Wanted] = {}
        seen = {}
        for environment in self._environments:
            for path in sorted((self._folder / environment.value).glob("*.json")):
                read = self._of(path, environment)
                if read is not None:
                    seen[path] = read
                    if read.takes_emails:
                        found[environment, path.stem] = read.wanted
        self._read = seen
        return found

    def _of(self, path: Path, environment: Environment) -> _Read | None:
        former = self._read.get(path)
        try:
            stat = path.stat()
            signature = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if (former is not None and former.signature == signature) or self._broken.get(path) == signature:
                return former
            route = Route.model_validate_json(path.read_bytes())
        except OSError as exc:
            log.warning("route_unreadable", path=str(path), reason=type(exc).__name__)
            return former
        except ValidationError:
            self._broken[path] = signature
            log.warning("route_unreadable", path=str(path), reason="not a route")
            return former
        if (route.environment, route.model) != (environment, path.stem):
            self._broken[path] = signature
            log.warning("route_unreadable", path=str(path), reason="of another model or environment")
            return former
        wanted = Wanted(
            environment, route.model, route.bundle, route.bundle_digest, route.version, route.since
        )
        return _Read(signature, wanted, route.transformer)


def _configured(settings: GatewaySettings) -> Iterator[Wanted]:
    """Yields what the settings name; a folder called by a number is taken for that version."""
    for environment, folder in settings.bundles.items():
        if environment in settings.environments:
            version = folder.name if folder.name.isdecimal() and folder.name[0] != "0" else None
            yield Wanted(environment, settings.default_model, folder, None, version, datetime.now(UTC))
