"""From what a drift run found to alerts: one for each family that drifted, one for the feature store.

What rows with default features explain is no drift of the traffic. It is told as `stale_features`, once for
the model and environment, whichever families show it; and not again if that outage was told already while it
lasted (`monitoring/checks` looks by the minute, and a drift run sees the same rows up to a day later).

An open drift alert counts a quiet run when its family was measured and did not drift, and when its family
belongs to another version, which no longer answers. A family that could not be measured counts nothing.
"""

from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from kit.home import Home
from monitoring.alerts import book
from monitoring.alerts.book import Entry, Sighting
from monitoring.alerts.event import Evidence, Moved
from monitoring.alerts.severity import severity_of
from monitoring.drift.result import Cause as Why
from monitoring.drift.result import DriftResult, FamilyDrift
from monitoring.drift.words import percent
from monitoring.settings import MonitoringSettings
from records.repositories import alerts
from records.repositories.alerts import Cause
from records.tables import MonitoringAlert
from records.tables.monitoring_alerts import AlertKind

_TOP = 3


async def write(
    session: AsyncSession, settings: MonitoringSettings, home: Home, result: DriftResult, effect: str
) -> list[Entry]:
    """Writes into the book what `result` shows, and returns the alerts that it is about.

    `effect` is the estimated effect on verdicts, in words. Call it in the transaction of the series.
    """
    entries: list[Entry | None] = []
    explained = [family for family in result.drifted if family.cause is Why.FEATURE_STORE]
    drifted = [family for family in result.drifted if family.cause is not Why.FEATURE_STORE]
    for family in drifted:
        sighting, cause = _drift(result, family, effect, home), _cause(result, family.family)
        entries.append(await book.sighted(session, settings, home, cause, sighting))
    for name in await _quiet_families(session, result, {family.family for family in drifted}):
        cause = _cause(result, name)
        entries.append(await book.quiet(session, settings, home, cause, result.measured_at))
    entries.append(await _feature_store(session, settings, home, result, explained, effect))
    return [entry for entry in entries if entry is not None]


def _cause(result: DriftResult, family: str) -> Cause:
    return Cause(result.model, result.environment, AlertKind.DATA_DRIFT, family)


def _drift(result: DriftResult, family: FamilyDrift, effect: str, home: Home) -> Sighting:
    size = max(feature.moved for feature in family.features if feature.drifted)
    return Sighting(
        severity=severity_of(AlertKind.DATA_DRIFT, result.environment, size=size, rows=result.rows),
        summary=family.sentence,
        evidence=_evidence(result, [family], home).model_copy(update={"size": size, "effect": effect}),
        seen_at=result.measured_at,
        model_version=result.version,
    )


async def _quiet_families(session: AsyncSession, result: DriftResult, drifted: set[str]) -> list[str]:
    measured = {family.family for family in result.families}

    def is_quiet(alert: MonitoringAlert) -> bool:
        gone = alert.model_version != result.version
        return alert.family not in drifted and (alert.family in measured or gone)

    open_ones = await alerts.open_of(session, result.model, result.environment, AlertKind.DATA_DRIFT)
    return [alert.family for alert in open_ones if is_quiet(alert)]


async def _feature_store(
    session: AsyncSession,
    settings: MonitoringSettings,
    home: Home,
    result: DriftResult,
    explained: list[FamilyDrift],
    effect: str,
) -> Entry | None:
    cause = Cause(result.model, result.environment, AlertKind.STALE_FEATURES)
    share = result.defaulted_rows / result.rows
    if not explained and share < settings.defaulted_share:
        return await book.quiet(session, settings, home, cause, result.measured_at)
    before = await alerts.latest(session, cause)
    if before is not None and before.resolved_at is not None and before.resolved_at >= result.window_start:
        return None
    families = ", ".join(family.family for family in explained)
    why = f"The predictions with features of their own are as the reference has them in {families}."
    evidence = _evidence(result, explained, home).model_copy(
        update={"size": share, "effect": effect, "cause": why if explained else ""}
    )
    return await book.sighted(
        session,
        settings,
        home,
        cause,
        Sighting(
            severity=severity_of(AlertKind.STALE_FEATURES, result.environment, size=share, rows=result.rows),
            summary=f"{percent(share)} of the predictions were answered with default features, because the "
            "feature store was slow or down.",
            evidence=evidence,
            seen_at=result.measured_at,
            model_version=result.version,
        ),
    )


def _evidence(result: DriftResult, families: list[FamilyDrift], home: Home) -> Evidence:
    features = [feature for family in families for feature in family.features if feature.drifted]
    features.sort(key=lambda feature: -feature.moved)
    return Evidence(
        since=min((family.since for family in families if family.since), default=result.window_start),
        rows=result.rows,
        moved=tuple(
            Moved(name=feature.name, reference=feature.reference, current=feature.current)
            for feature in features[:_TOP]
        ),
        examples=next((family.examples for family in families if family.examples), ()),
        report=_below(home, result.report),
    )


def _below(home: Home, report: Path | None) -> str:
    if report is None or not report.is_relative_to(home.root):
        return ""
    return report.relative_to(home.root).as_posix()
