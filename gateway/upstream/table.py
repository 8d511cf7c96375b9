"""Which models answer where: from the route files of this machine, or in a cluster from the settings.

Route files are replaced in one step by whoever moves a model. They are looked at when somebody asks, at most
every tenth of a second, and at once by whoever finds that an address no longer holds. A file that is broken
changes nothing: what it said before goes on, and the log tells.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from pydantic import ValidationError

from contracts.environments import Environment
from contracts.routes import FOLDER, Route
from gateway.errors import ModelUnknown, UpstreamNotReady
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from gateway.upstream.addresses import Address
from kit.home import Home

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.1
"""How old what is known of the route files may be."""

_Key = tuple[Environment, str]


class _Signature(NamedTuple):
    inode: int
    modified_ns: int
    size: int


class RoutingTable:
    """The addresses of the environments that this gateway serves."""

    def __init__(self, settings: GatewaySettings, home: Home, measures: Measures) -> None:
        self._environments = frozenset(settings.environments)
        self._measures = measures
        self._addresses: dict[_Key, Address] = {}
        self._current: dict[_Key, str] = {}
        self._known: dict[_Key, set[str]] = {}
        self._seen: dict[Path, _Signature] = {}
        self._folder: Path | None = None
        self._looked = float("-inf")
        if not settings.upstreams:
            self._folder = home.serving / FOLDER
            return
        for environment, models in settings.upstreams.items():
            for model, url in models.items():
                self._addresses[environment, model] = Address.configured(
                    environment, model, url, transformer=model not in settings.direct_models
                )

    def find(self, environment: Environment, model: str) -> Address:
        """Returns where `model` answers in `environment`.

        Raises:
            ModelUnknown: it does not, and others do.
            UpstreamNotReady: none does.
        """
        self._look()
        address = self._addresses.get((environment, model))
        if address is None or environment not in self._environments:
            raise self._absent(environment)
        return address

    def again(self, address: Address) -> Address:
        """Returns where the model of `address` answers by now; raises as `find` does."""
        self.read()
        return self.find(address.environment, address.model)

    def served(self, environment: Environment) -> Sequence[Address]:
        """Returns the addresses of an environment by model."""
        self._look()
        if environment not in self._environments:
            return []
        found = [address for key, address in self._addresses.items() if key[0] is environment]
        return sorted(found, key=lambda address: address.model)

    def version(self, address: Address) -> str | None:
        """Returns the version of an address: as its route says, or as its server was last heard to say."""
        return self._current.get((address.environment, address.model))

    def knows(self, address: Address, version: str) -> bool:
        """Tells whether a server may answer by `version`: its route names it, or did, or nobody can tell."""
        return address.version is None or version in self._known[address.environment, address.model]

    def heard(self, address: Address, version: str) -> None:
        """Takes note of the version that a server tells to be its own."""
        key = (address.environment, address.model)
        if address.version is None:
            self._names(key, version)
        else:
            self._known[key].add(version)

    def read(self) -> None:
        """Reads the route files that have changed."""
        self._looked = time.monotonic()
        if self._folder is None:
            return
        for environment in self._environments:
            try:
                files = _files(self._folder / environment)
            except OSError as exc:
                log.warning("routes_unreadable", environment=environment, reason=type(exc).__name__)
                continue
            for path, signature in files.items():
                if self._seen.get(path) != signature:
                    self._seen[path] = signature
                    self._follow((environment, path.stem), path)
            stems = {path.stem for path in files}
            for key in [key for key in self._addresses if key[0] is environment and key[1] not in stems]:
                self._leave(key)

    def _look(self) -> None:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self.read()

    def _follow(self, key: _Key, path: Path) -> None:
        try:
            route = Route.model_validate_json(path.read_bytes())
        except OSError as exc:
            log.warning("route_unreadable", path=str(path), reason=type(exc).__name__)
            del self._seen[path]  # read again at the next look
            return
        except ValidationError:
            log.warning("route_unreadable", path=str(path), reason="not a route")
            return
        if (route.environment, route.model) != key:
            log.warning("route_unreadable", path=str(path), reason="of another model or environment")
            return
        self._addresses[key] = Address.of(route)
        self._known.setdefault(key, set()).add(route.version)
        self._names(key, route.version)
        log.info("route_followed", environment=key[0], model=key[1], version=route.version)

    def _leave(self, key: _Key) -> None:
        del self._addresses[key], self._known[key]
        if self._folder is not None:
            self._seen.pop(self._folder / key[0] / f"{key[1]}.json", None)
        self._names(key, None)
        log.info("route_left", environment=key[0], model=key[1])

    def _names(self, key: _Key, version: str | None) -> None:
        """Makes `version` the one that is told of."""
        before = self._current.get(key)
        if before == version:
            return
        if before is not None:
            self._measures.model.labels(*key, before).set(0)
            del self._current[key]
        if version is not None:
            self._measures.model.labels(*key, version).set(1)
            self._current[key] = version

    def _absent(self, environment: Environment) -> ModelUnknown | UpstreamNotReady:
        if any(key[0] is environment for key in self._addresses):
            return ModelUnknown(
                f"The model is not served in {environment}.", next_step="GET /v1/models tells which ones are."
            )
        return UpstreamNotReady(
            f"Nothing is served in {environment} yet.", next_step="Promote a model version to it."
        )


def _files(folder: Path) -> dict[Path, _Signature]:
    """Returns the route files of a folder, each with what changes when it is replaced."""
    found = {}
    try:
        paths = [path for path in folder.iterdir() if path.suffix == ".json"]
    except FileNotFoundError:
        return {}
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found[path] = _Signature(stat.st_ino, stat.st_mtime_ns, stat.st_size)
    return found
