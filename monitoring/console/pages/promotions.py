"""The ledger: which version came where, when, by whose word and why."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitoring.console.people import Person
from monitoring.console.site import Site, number_of
from records.repositories import paged


def routes(site: Site) -> list[Route]:
    """Returns its route."""

    async def ledger(request: Request, person: Person) -> Response:
        async with site.parts.records.reading() as session:
            page = await paged.deployments(session, number_of(request))
        gates = {move.id: reasons(move.gate) for move in page.rows}
        return site.answer("promotions.html", person, page=page, gates=gates)

    return [site.page("/promotions", ledger)]


def reasons(gate: Any) -> list[tuple[bool | None, str]]:
    """Returns what a gate said: of each rule whether it passed, if that is known, and its sentence."""
    listed = gate.get("reasons") if isinstance(gate, dict) else None
    if not isinstance(listed, list):
        return []
    return [
        (each.get("passed"), str(each.get("sentence", ""))) if isinstance(each, dict) else (None, str(each))
        for each in listed
    ]
