"""What is answered at each path."""

from collections.abc import Callable

from starlette.routing import BaseRoute

from gateway.parts import Parts
from gateway.routes.feedback import Feedback
from gateway.routes.health import Health
from gateway.routes.measured import Measured
from gateway.routes.models import Models
from gateway.routes.pages import Pages
from gateway.routes.passing import Passing
from gateway.routes.predict import Predicting
from gateway.routes.predictions import RememberedPredictions
from gateway.stopping import Stopping


def all_routes(parts: Parts, stopping: Stopping, openapi: Callable[[], dict[str, object]]) -> list[BaseRoute]:
    """Returns every route, the ones asked most first: they are tried in this order."""
    routes: list[BaseRoute] = [
        *Predicting(parts).routes(),
        *Passing(parts).routes(),
        *Feedback(parts).routes(),
        *Models(parts).routes(),
        *RememberedPredictions(parts).routes(),
        *Health(parts, stopping).routes(),
        *Measured(parts).routes(),
    ]
    return [*routes, *Pages(openapi).routes()] if parts.settings.docs else routes
