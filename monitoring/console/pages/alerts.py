"""The alerts: all of them, one with everything that is known of it, and what a person does about it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.environments import Environment
from monitoring.alerts import book
from monitoring.alerts.book import Entry
from monitoring.alerts.event import AlertEvent, Change
from monitoring.alerts.events import event_of, runbook_of
from monitoring.console import forms
from monitoring.console.pages import reports
from monitoring.console.people import Person
from monitoring.console.site import Site, number_of, seen
from monitoring.durations import duration
from monitoring.errors import FormInvalid, PathUnknown
from monitoring.parts import Parts
from records.repositories import alerts, deliveries, paged
from records.repositories.alerts import Note
from records.tables import MonitoringAlert
from records.tables.monitoring_alerts import AlertKind

MUTES: Final = {"1h": "1 hour", "4h": "4 hours", "1d": "1 day", "7d": "7 days"}
DONE: Final = {
    "acknowledge": "Acknowledged. Whoever heard of it is told that you look after it.",
    "mute": "Muted. Nobody is told of this cause until then.",
    "unmute": "The mute has ended. The next sighting is told again.",
    "resolve": "Resolved. If the cause is seen again, a new alert opens.",
}
_ROWS: Final = 100
"""Of a history, and of the messages of one alert: the latest."""

Act = Callable[[Parts, MonitoringAlert, Note, dict[str, str]], Awaitable[Entry]]


def routes(site: Site) -> list[Route]:
    """Returns their routes."""
    pages = _Pages(site)
    acts = ((name, pages.taken(name, act)) for name, act in _ACTS.items())
    return [
        site.page("/alerts", pages.listed),
        site.page("/alerts/{id:uuid}", pages.one),
        *(site.page(f"/alerts/{{id:uuid}}/{name}", act, methods=("POST",)) for name, act in acts),
    ]


class _Pages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._parts = site.parts

    async def listed(self, request: Request, person: Person) -> Response:
        """Shows the open alerts, or all."""
        everything = request.query_params.get("show") == "all"
        asked = request.query_params.get("environment", "")
        environment = Environment(asked) if asked in set(Environment) else None
        async with self._parts.records.reading() as session:
            page = await paged.alerts(
                session, number_of(request), open_only=not everything, environment=environment
            )
        return self._site.answer(
            "alerts.html",
            person,
            page=page,
            everything=everything,
            environment=environment,
            environments=list(Environment),
        )

    async def one(self, request: Request, person: Person) -> Response:
        """Shows everything that is known of an alert."""
        alert = await self._alert(request)
        async with self._parts.records.reading() as session:
            told = await deliveries.of_alert(session, alert.id)
        event = self._event(alert)
        runbook = runbook_of(AlertKind(alert.kind), self._parts.settings)
        return self._site.answer(
            "alert.html",
            person,
            alert=alert,
            event=event,
            report=reports.link(self._parts.home, event.evidence.report) if event else "",
            runbook=runbook,
            runbook_link=runbook if runbook.startswith(("http://", "https://")) else "",
            history=alert.history[-_ROWS:],
            told=told[-_ROWS:],
            mutes=MUTES,
            muted=book.muted(alert, datetime.now(UTC)),
            done=DONE.get(request.query_params.get("done", "")),
        )

    def taken(self, name: str, act: Act) -> Callable[[Request, Person], Awaitable[Response]]:
        """Returns what takes the form `name`: the person's key says who, the form says why."""

        async def sent(request: Request, person: Person) -> Response:
            fields = await forms.signed_fields(request, person)
            reason = fields.get("reason", "").strip()
            if not reason:
                raise FormInvalid("A reason is needed.", next_step="Go back and say why, in a few words.")
            alert = await self._alert(request)
            await act(
                self._parts, alert, Note(actor=person.name, reason=reason, at=datetime.now(UTC)), fields
            )
            return seen(f"alerts/{alert.id}", done=name)

        return sent

    async def _alert(self, request: Request) -> MonitoringAlert:
        async with self._parts.records.reading() as session:
            alert = await alerts.by_id(session, request.path_params["id"])
        if alert is None:
            raise PathUnknown("There is no such alert.", next_step="See the list of all alerts.")
        return alert

    def _event(self, alert: MonitoringAlert) -> AlertEvent | None:
        """Returns the alert as messages tell it, or None if its row holds nothing that a run writes."""
        change = Change.OPENED if alert.is_open else Change.RESOLVED
        try:
            return event_of(alert, change, self._parts.settings, self._parts.home, at=alert.last_seen_at)
        except ValidationError:
            return None


async def _acknowledge(parts: Parts, alert: MonitoringAlert, note: Note, _fields: dict[str, str]) -> Entry:
    return await book.acknowledge(parts.records, parts.settings, parts.home, alert.id, note)


async def _resolve(parts: Parts, alert: MonitoringAlert, note: Note, _fields: dict[str, str]) -> Entry:
    return await book.resolve(parts.records, parts.settings, parts.home, alert.id, note)


async def _mute(parts: Parts, alert: MonitoringAlert, note: Note, fields: dict[str, str]) -> Entry:
    if fields.get("for") not in MUTES:
        raise FormInvalid("This is no time to mute for.", next_step="Choose one of the list.")
    return await book.mute(parts.records, alert.id, note, until=note.at + duration(fields["for"]))


async def _unmute(parts: Parts, alert: MonitoringAlert, note: Note, _fields: dict[str, str]) -> Entry:
    return await book.unmute(parts.records, alert.id, note)


_ACTS: Final[dict[str, Act]] = {
    "acknowledge": _acknowledge,
    "resolve": _resolve,
    "mute": _mute,
    "unmute": _unmute,
}
