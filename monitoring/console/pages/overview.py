"""The first page: what answers where, how much, how fast, and what is wrong; a part of it renews itself."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitoring.console.lately import Lately
from monitoring.console.people import Person
from monitoring.console.site import Site


def routes(site: Site) -> list[Route]:
    """Returns the routes of the page and of its part."""
    lately = Lately(site.parts)

    async def whole(_request: Request, person: Person) -> Response:
        return site.answer("overview.html", person, **(await lately.now())._asdict())

    async def part(_request: Request, person: Person) -> Response:
        return site.answer("overview_part.html", person, **(await lately.now())._asdict())

    return [site.page("/", whole), site.page("/overview", part)]
