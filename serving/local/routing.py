"""The route files of this machine, and what a transformer says of the one it follows."""

from typing import Any, Final, NamedTuple

import structlog
from pydantic import ValidationError

from contracts.environments import Environment
from contracts.routes import FOLDER, Route, route_file
from kit.files import write_text
from kit.home import Home
from serving.local import probes

log: Final = structlog.get_logger(__name__)


class Reported(NamedTuple):
    """What a transformer says of itself."""

    version: str | None
    """The version that it answers by; None before the first."""
    refused: str | None
    """The version that its route names and that it did not accept, if there is one."""
    reason: str
    """Why not."""
    ending: frozenset[str]
    """Versions that still have requests to answer."""


def read(home: Home, environment: Environment, model: str) -> Route | None:
    """Returns the route of a model; None if there is none, or if what is there is not a route."""
    path = route_file(home.serving, environment, model)
    try:
        return Route.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValidationError, UnicodeDecodeError):
        log.warning("route_unreadable", path=str(path))
        return None


def routes(home: Home) -> list[Route]:
    """Returns every route of this machine, by environment and model."""
    paths = sorted((home.serving / FOLDER).glob("*/*.json"))
    named = [(path.parent.name, path.stem) for path in paths if path.parent.name in set(Environment)]
    found = (read(home, Environment(environment), model) for environment, model in named)
    return [route for route in found if route is not None]


def write(home: Home, route: Route) -> None:
    """Writes a route in one step; who follows it sees the former one or this one."""
    path = route_file(home.serving, route.environment, route.model)
    write_text(path, route.model_dump_json(indent=1) + "\n")


def remove(home: Home, environment: Environment, model: str) -> None:
    """Removes a route: the model answers no more in that environment. Gone already is fine."""
    route_file(home.serving, environment, model).unlink(missing_ok=True)


def reported(url: str) -> Reported | None:
    """Returns what the transformer at `url` says of itself, or None if it does not answer."""
    answer = probes.answer(f"{url}/v2/health/ready")
    if answer is None:
        return None
    try:
        body: Any = answer.json()
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    refused = body.get("refused") or {}
    return Reported(
        body.get("version"),
        refused.get("version"),
        refused.get("reason", ""),
        frozenset(version for version, requests in body.get("ending", {}).items() if requests),
    )
