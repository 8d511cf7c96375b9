"""Are features stale? Answers with default features, and history that nobody adds to any more.

Both are read from the records, where every gateway writes: how many answers had numbers that are defaults
because the feature store did not answer (the drift job tells the same of its window), and how long rows with
a sender wait for the ingest that makes history of them.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from monitoring.alerts.book import Sighting
from monitoring.alerts.event import Evidence
from monitoring.alerts.severity import severity_of
from monitoring.checks.finding import ENOUGH, Finding, cause_of, open_alerts
from monitoring.drift.words import percent
from records.repositories import jobs, predictions
from records.repositories.alerts import Cause
from records.repositories.jobs import Job
from records.tables.monitoring_alerts import AlertKind, Severity

HISTORY: Final = "history"
"""The family of alerts about history that is not kept up with."""
BEHIND_RUNS: Final = 6
"""Intervals of the ingest after which rows should have been taken."""
_LONGEST: Final = timedelta(days=1)


async def defaulted(
    session: AsyncSession, since: datetime, now: datetime, at_most: float
) -> list[Finding] | None:
    """Returns of which models the share of answers with defaults is `at_most` or more, and of which less.

    None if too little was recorded since then to tell.
    """
    found = await predictions.recorded_between(session, since, now)
    enough = [each for each in found if each.rows >= ENOUGH]
    if not enough:
        return None
    findings = []
    for each in enough:
        cause = Cause(each.model_name, each.environment, AlertKind.STALE_FEATURES)
        share = each.defaulted / each.rows
        if share < at_most:
            findings.append(Finding(cause, None))
            continue
        examples = await predictions.examples_between(session, each.model_name, each.environment, since, now)
        seen = Sighting(
            severity=severity_of(cause.kind, cause.environment, size=share, rows=each.rows),
            summary=f"{percent(share)} of {each.rows:,} predictions were answered with default features, "
            "because the feature store was slow, down or not asked.",
            evidence=Evidence(since=since, rows=each.rows, size=share, examples=tuple(examples)),
            seen_at=now,
            model_version=each.model_version,
        )
        findings.append(Finding(cause, seen))
    return findings


async def behind(session: AsyncSession, every: timedelta, now: datetime, *, expected: bool) -> list[Finding]:
    """Returns of which models rows wait for an ingest that should have run, and where none do any more.

    `expected` tells whether features are kept here; where an ingest ever ran, they are.
    """
    last = (await jobs.completions(session)).get(Job.INGEST)
    former = await open_alerts(session, AlertKind.STALE_FEATURES, family=HISTORY)
    waiting = []
    late = now - BEHIND_RUNS * every
    if last is not None or expected:
        since = max(last or now - _LONGEST, now - _LONGEST)
        if since < late:
            found = await predictions.recorded_between(session, since, late)
            waiting = [each for each in found if each.with_sender]
    seen = {(each.model_name, each.environment) for each in waiting}
    findings = [
        Finding(cause_of(alert), None)
        for alert in former
        if (alert.model_name, alert.environment) not in seen
    ]
    for each in waiting:
        when = f"since {last:%Y-%m-%d %H:%M} UTC" if last is not None else "ever"
        sighting = Sighting(
            severity=Severity.WARNING,
            summary=f"No prediction became sender history {when}: {each.with_sender:,} wait longer than they "
            "should.",
            evidence=Evidence(
                since=last,
                rows=each.with_sender,
                effect="Senders count as less known than they are.",
                cause="The ingest of features does not run, or fails: sluice features ingest",
            ),
            seen_at=now,
            model_version=each.model_version,
        )
        cause = Cause(each.model_name, each.environment, AlertKind.STALE_FEATURES, HISTORY)
        findings.append(Finding(cause, sighting))
    return findings
