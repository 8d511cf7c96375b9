"""Does a model fail? The share of an environment's requests that ended with 5xx, and circuit breakers.

Requests that the caller got wrong say nothing of a model, and are left out. An environment without a model
cannot fail. With fewer than enough requests a look waits for more, unless a breaker says enough.
"""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from contracts import metrics as contract
from contracts.environments import Environment
from monitoring.alerts.book import Sighting
from monitoring.alerts.event import Evidence
from monitoring.alerts.severity import severity_of
from monitoring.checks.finding import ENOUGH, Finding, Look, Served, cause_of, open_alerts, served
from monitoring.drift.words import percent
from records.repositories.alerts import Cause
from records.tables.monitoring_alerts import AlertKind

_OPEN: Final = 1.0
_REASONS: Final = 3


async def look(
    session: AsyncSession, look: Look, environment: Environment, error_share: float
) -> list[Finding] | None:
    """Returns what fails in `environment`, or that nothing does; None if too little was asked to tell."""
    now, before, place = look.now, look.before, environment.value
    grown = now.grown(before, contract.GATEWAY_REQUESTS, environment=place)
    failed = sum(sample.value for sample in grown if sample.labels["status"].startswith("5"))
    well = sum(sample.value for sample in grown if sample.labels["status"].startswith("2"))
    total = failed + well
    broken = [
        sample.labels["model"]
        for sample in now.of(contract.GATEWAY_BREAKER_OPEN, environment=place)
        if sample.value == _OPEN or (sample.value > 0 and failed)
    ]
    share = failed / total if total else 0.0
    former = await open_alerts(session, AlertKind.MODEL_ERROR, environment=environment)
    if not broken:
        if total < ENOUGH:
            return None
        if share < error_share:
            return [Finding(cause_of(alert), None) for alert in former]
    models = await served(session, now, environment)
    model = next((each for each in models if each.model in broken), models[0] if models else None)
    if model is None and broken:
        model = Served(broken[0], None)
    if model is None:
        return []
    told = []
    if failed:
        told.append(f"{failed:,.0f} of {total:,.0f} requests in {environment} failed on our side.")
    if broken:
        told.append(f"The gateway leaves {' and '.join(sorted(broken))} alone, after failures in a row.")
    cause = Cause(model.model, environment, AlertKind.MODEL_ERROR)
    if former and not broken:  # with several models, the one that stands there already
        cause = cause_of(former[0])
    size = share if total else 1.0
    seen = Sighting(
        severity=severity_of(cause.kind, environment, size=size, rows=round(total)),
        summary=" ".join(told),
        evidence=Evidence(
            since=look.since,
            rows=round(total),
            size=size,
            effect=f"{percent(share)} of requests got no verdict." if failed else "",
            cause=_why(look, environment),
        ),
        seen_at=look.at,
        model_version=model.version,
    )
    return [Finding(cause, seen)]


def _why(look: Look, environment: Environment) -> str:
    """Returns which errors the model servers were left with, the most frequent first."""
    grown = look.now.grown(look.before, contract.GATEWAY_UPSTREAM_ERRORS, environment=environment.value)
    errors = sorted((sample for sample in grown if sample.value > 0), key=lambda sample: -sample.value)
    return ", ".join(f"{each.labels['error']} {each.value:,.0f} times" for each in errors[:_REASONS])
