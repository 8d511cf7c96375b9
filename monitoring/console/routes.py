"""The console's routes, to be mounted beside the receiver's."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router

from contracts.monitoring import CONSOLE
from monitoring.console.pages import (
    alerts,
    dead_letters,
    drift,
    overview,
    promotions,
    reports,
    runs,
    sign_in,
)
from monitoring.console.site import Guarded, Site
from monitoring.parts import Parts


def routes(parts: Parts) -> list[BaseRoute]:
    """Returns everything below `contracts.monitoring.CONSOLE`.

    Raises:
        KeysUnreadable: the file of keys is broken.
    """
    site = Site(parts)
    pages = (overview, drift, alerts, promotions, runs, dead_letters, reports, sign_in)
    below = [*site.assets.routes(), *(route for page in pages for route in page.routes(site))]

    async def first(_request: Request) -> Response:
        return RedirectResponse(f"{CONSOLE}/")

    router = Router(below, redirect_slashes=False)
    return [Route(CONSOLE, first), Mount(CONSOLE, app=Guarded(router, site))]
