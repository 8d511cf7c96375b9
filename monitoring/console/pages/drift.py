"""Drift by family and live figures over time, of each model in each environment, with the reports of runs."""

from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.environments import Environment
from monitoring.console import trends
from monitoring.console.pages import reports
from monitoring.console.people import Person
from monitoring.console.site import Site
from monitoring.errors import PathUnknown
from records.repositories import metrics

DAYS: Final = (1, 7, 30, 90)
_DAYS: Final = 30


def routes(site: Site) -> list[Route]:
    """Returns their routes."""
    parts = site.parts

    async def listed(_request: Request, person: Person) -> Response:
        async with parts.records.reading() as session:
            places = [
                await trends.latest(session, model, source)
                for model, source in await metrics.measured_sources(session)
                if source in set(Environment)
            ]
        return site.answer("drift.html", person, places=[place for place in places if place is not None])

    async def one(request: Request, person: Person) -> Response:
        model, environment = request.path_params["model"], request.path_params["environment"]
        days = int(asked) if (asked := request.query_params.get("days", "")) in map(str, DAYS) else _DAYS
        async with parts.records.reading() as session:
            if (model, environment) not in await metrics.measured_sources(session):
                raise PathUnknown("Nothing was measured of this model there.", next_step="See the list.")
            since = datetime.now(UTC) - timedelta(days=days)
            found = await trends.read(session, parts.settings, model, environment, since)
        links = {run.id: reports.link(parts.home, run.details.get("report", "")) for run in found.runs}
        return site.answer(
            "drift_of.html",
            person,
            model=model,
            environment=environment,
            days=days,
            choices=DAYS,
            trends=found,
            links=links,
        )

    return [site.page("/drift", listed), site.page("/drift/{environment}/{model:path}", one)]
