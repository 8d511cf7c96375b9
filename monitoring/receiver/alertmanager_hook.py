"""`POST /hooks/alertmanager`: Alertmanager's webhook, version 4, for what our Prometheus rules see.

A rule with the label `sluice_kind` opens and resolves an alert of that kind. Its family is the name of the
rule, so that it is a cause of its own beside what the platform's checks see. Others are accepted and left.
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import hmac
from datetime import UTC, datetime
from typing import Final, Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from contracts.environments import Environment
from monitoring.alerts import book
from monitoring.alerts.event import Evidence
from monitoring.alerts.text import plain
from monitoring.errors import HookClosed, HookMalformed, HookUnsigned
from monitoring.parts import Parts
from monitoring.receiver.bodies import body_of
from records.errors import RecordMissing
from records.repositories import alerts
from records.repositories.alerts import Cause, Note
from records.tables.monitoring_alerts import AlertKind, Severity
from records.tables.registry import NAME_LENGTH, REASON_LENGTH

BODY_BYTES: Final = 1 << 20
"""A group of some hundred alerts; `max_alerts` of the receiver bounds it."""
KIND: Final = "sluice_kind"
"""The label of a rule that says which kind of alert it opens."""
KINDS: Final = (AlertKind.PREDICTION_LOSS, AlertKind.MODEL_ERROR, AlertKind.STALE_FEATURES)
GATEWAY: Final = "gateway"
"""Stands for the model where a rule is about all of them."""
ACTOR: Final = "alertmanager"
_SCHEME: Final = "bearer "

log: Final = structlog.get_logger(__name__)


class Alert(BaseModel):
    """One alert of a group; what else Alertmanager says is not needed."""

    model_config = ConfigDict(frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: AwareDatetime  # noqa: N815 - Alertmanager's name
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """The name of the rule."""
        return plain(self.labels.get("alertname", ""), NAME_LENGTH)


class Group(BaseModel):
    """What Alertmanager posts."""

    model_config = ConfigDict(frozen=True)

    version: Literal["4"]
    alerts: tuple[Alert, ...] = Field(max_length=10_000)


async def received(parts: Parts, request: Request) -> JSONResponse:
    """Returns the answer, after every alert of the group is written.

    Raises as `body_of` does, and:
        HookClosed: there is no token.
        HookUnsigned: the request has another one.
        HookMalformed: it is not what Alertmanager sends.
        RecordsUnavailable: Alertmanager tries again.
    """
    _require_token(parts, request.headers.get("authorization", ""))
    body = await body_of(request, most=BODY_BYTES)
    try:
        group = Group.model_validate_json(body)
    except ValidationError as exc:
        where = ".".join(str(step) for step in exc.errors(include_url=False, include_input=False)[0]["loc"])
        raise HookMalformed(
            f"This is no webhook of Alertmanager, version 4 ({plain(where, 100)}).",
            next_step="Point a receiver with `webhook_configs` here; docs/retraining.md has one.",
        ) from exc
    now, known = datetime.now(UTC), 0
    for alert in group.alerts:
        cause = cause_of(alert)
        if cause is None:
            log.info("alertmanager_alert_left", rule=alert.name, status=alert.status)
            continue
        known += 1
        if alert.status == "firing":
            await _sighted(parts, cause, alert, now)
        else:
            await _resolved(parts, cause, alert, now)
    return JSONResponse({"written": known, "left": len(group.alerts) - known}, status_code=202)


def cause_of(alert: Alert) -> Cause | None:
    """Returns the cause that an alert of our rules is about, or None of any other one.

    A rule that names no environment is about the gateway as a whole: it is told as production's, which is
    where it matters most.
    """
    kind, place = alert.labels.get(KIND), alert.labels.get("environment", Environment.PRODUCTION.value)
    if kind not in KINDS or place not in set(Environment) or not alert.name:
        return None
    model = plain(alert.labels.get("model", ""), NAME_LENGTH) or GATEWAY
    return Cause(model, Environment(place), AlertKind(kind), alert.name)


async def _sighted(parts: Parts, cause: Cause, alert: Alert, now: datetime) -> None:
    told = alert.labels.get("severity", "")
    sighting = book.Sighting(
        severity=Severity(told) if told in set(Severity) else Severity.WARNING,
        summary=plain(alert.annotations.get("summary", "") or f"{alert.name} fires.", REASON_LENGTH),
        evidence=Evidence(
            since=alert.startsAt, cause=plain(alert.annotations.get("description", ""), REASON_LENGTH)
        ),
        seen_at=now,
    )
    async with parts.records.transaction() as session:
        await book.sighted(session, parts.settings, parts.home, cause, sighting)


async def _resolved(parts: Parts, cause: Cause, alert: Alert, now: datetime) -> None:
    async with parts.records.reading() as session:
        found = await alerts.latest(session, cause)
    if found is None or not found.is_open:
        return
    note = Note(actor=ACTOR, reason=f"The rule {alert.name} fires no more.", at=now)
    try:
        await book.resolve(parts.records, parts.settings, parts.home, found.id, note)
    except RecordMissing:
        log.info("alertmanager_alert_resolved_before", rule=alert.name, alert=str(found.id))


def _require_token(parts: Parts, given: str) -> None:
    token = parts.settings.hook_token
    if token is None or not token.get_secret_value():
        raise HookClosed(
            "This hook accepts nothing, as it has no token.",
            next_step="Set MONITORING_HOOK_TOKEN here, and the same in Alertmanager's `authorization`.",
        )
    bearer = given[len(_SCHEME) :] if given.lower().startswith(_SCHEME) else ""
    if not hmac.compare_digest(bearer.strip().encode(), token.get_secret_value().encode()):
        raise HookUnsigned(
            "The bearer token is missing, or another one.",
            next_step="Compare Alertmanager's `authorization` with MONITORING_HOOK_TOKEN.",
        )
