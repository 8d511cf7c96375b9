"""Messages that reached nobody, to be sent once more; and how many are on their way."""

from datetime import UTC, datetime
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitoring.console import forms
from monitoring.console.people import Person
from monitoring.console.site import Site, number_of, seen
from records.repositories import deliveries, paged
from records.repositories.waiting import waiting

log = structlog.get_logger(__name__)


def routes(site: Site) -> list[Route]:
    """Returns its routes."""

    async def listed(request: Request, person: Person) -> Response:
        async with site.parts.records.reading() as session:
            page = await paged.dead_letters(session, number_of(request))
            by_channel = await waiting(session)
        done = request.query_params.get("done") == "resent"
        return site.answer("dead_letters.html", person, page=page, waiting=by_channel, done=done)

    async def resend(request: Request, person: Person) -> Response:
        await forms.signed_fields(request, person)
        delivery_id: UUID = request.path_params["id"]
        async with site.parts.records.transaction() as session:
            await deliveries.resend(session, delivery_id, now=datetime.now(UTC))
        log.info("delivery_resent", delivery=str(delivery_id), by=person.name)
        return seen("dead-letters", done="resent")

    return [
        site.page("/dead-letters", listed),
        site.page("/dead-letters/{id:uuid}/resend", resend, methods=("POST",)),
    ]
