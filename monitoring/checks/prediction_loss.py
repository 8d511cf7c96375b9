"""Are predictions lost? Dropped by the gateway, about to be, or written where nobody finds them.

The gateway drops rows when its queue and its spool are full, or cannot hold them; it counts them, and for
which model is not known: the alert stands with the environment that was asked most. A gateway that answers
and remembers nothing, or believes to have written what is not in these records, loses all the same.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from contracts import metrics as contract
from contracts.environments import Environment
from contracts.gateway import PREDICT
from monitoring.alerts.book import Sighting
from monitoring.alerts.event import Evidence
from monitoring.alerts.severity import rank, severity_of
from monitoring.checks.finding import ENOUGH, Finding, Look, cause_of, open_alerts, served
from monitoring.drift.words import percent
from records.repositories import predictions
from records.repositories.alerts import Cause
from records.tables.monitoring_alerts import AlertKind, Severity

SPOOL_FULL: Final = 0.8
"""The share of the spool from which on it is time to act."""
_MISSING: Final = 0.05
"""The share of rows believed to be written that are not found, from which on they are lost."""
_CLOCKS: Final = timedelta(seconds=30)
"""By how much the gateway's clock may differ from ours."""
_OK: Final = "200"


async def look(session: AsyncSession, look: Look) -> list[Finding]:
    """Returns what is lost, or that nothing is."""
    now, before = look.now, look.before
    answered = now.growth(before, contract.GATEWAY_REQUESTS, route=PREDICT, status=_OK)
    dropped = now.growth(before, contract.GATEWAY_RECORDS_DROPPED)
    missing = await _missing(session, look)
    silent = _is_silent(look, answered)
    limit = now.total(contract.GATEWAY_SPOOL_LIMIT_BYTES)
    full = now.total(contract.GATEWAY_SPOOL_BYTES) / limit if limit > 0 else 0.0
    told = []
    if dropped > 0:
        reasons = ", ".join(
            f"{sample.labels['reason']} {sample.value:,.0f}"
            for sample in now.grown(before, contract.GATEWAY_RECORDS_DROPPED)
            if sample.value > 0
        )
        told.append(f"The gateway dropped {dropped:,.0f} predictions ({reasons}).")
    if full >= SPOOL_FULL:
        told.append(f"Its spool is {percent(full)} full; beyond that predictions are dropped.")
    if missing:
        told.append(f"{missing:,} predictions that it wrote are not in these records.")
    if silent:
        told.append(
            f"It answered {answered:,.0f} requests and remembered none: it does not record, or all had ids "
            "of earlier ones."
        )
    former = await open_alerts(session, AlertKind.PREDICTION_LOSS)
    if not told:
        return [Finding(cause_of(alert), None) for alert in former]
    lost = dropped + missing + (answered if silent else 0)
    rows = max(answered, lost)
    cause = cause_of(former[0]) if former else await _cause(session, look)
    if cause is None:
        return []
    size = lost / rows if rows else full
    severity = severity_of(cause.kind, cause.environment, size=size, rows=round(rows))
    evidence = Evidence(
        since=look.since,
        rows=round(rows),
        size=size,
        effect="None on answers. Drift, live figures and sender history do not see what is lost.",
    )
    seen = Sighting(
        severity=max(severity, Severity.WARNING, key=rank),
        summary=" ".join(told),
        evidence=evidence,
        seen_at=look.at,
    )
    return [Finding(cause, seen)]


def _is_silent(look: Look, answered: float) -> bool:
    """Tells whether requests were answered and nothing became of their predictions, not even a loss."""
    remembered = sum(
        look.now.growth(look.before, metric)
        for metric in (contract.GATEWAY_RECORDS_WRITTEN, contract.GATEWAY_RECORDS_DROPPED)
    )
    waiting = look.now.total(contract.GATEWAY_RECORDS_QUEUED) + look.now.total(contract.GATEWAY_SPOOL_BYTES)
    return answered >= ENOUGH and not remembered and not waiting


async def _missing(session: AsyncSession, look: Look) -> int:
    """Returns how many rows the gateway believes to have written here, and which are not."""
    written = look.now.growth(look.before, contract.GATEWAY_RECORDS_WRITTEN)
    if written < ENOUGH:
        return 0
    since: datetime = look.since - _CLOCKS
    found = await predictions.count_recorded(session, since, look.at + _CLOCKS)
    missing = round(written) - found
    return missing if missing >= max(ENOUGH, _MISSING * written) else 0


async def _cause(session: AsyncSession, look: Look) -> Cause | None:
    """Returns the cause for the environment that was asked most and has a model; None if none has."""

    def asked(environment: Environment) -> float:
        return look.now.growth(look.before, contract.GATEWAY_REQUESTS, environment=environment.value)

    for environment in sorted(
        Environment, key=lambda each: (-asked(each), each is not Environment.PRODUCTION)
    ):
        models = await served(session, look.now, environment)
        if models:
            return Cause(models[0].model, environment, AlertKind.PREDICTION_LOSS)
    return None
