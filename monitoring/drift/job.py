"""The drift job: every version that answers, or the ones asked for; the same for a person and a scheduler."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from kit.errors import SluiceError
from kit.files import locked
from kit.home import Home
from monitoring.alerts import effect, from_drift
from monitoring.alerts.book import Entry
from monitoring.drift import series
from monitoring.drift.measure import measure
from monitoring.drift.reference import Reference, bundle_of, reference_of
from monitoring.drift.report import page
from monitoring.drift.result import DriftResult, Verdict
from monitoring.drift.verdicts import Strictness
from monitoring.drift.windows import Asked, Chosen, choose, require_new
from monitoring.durations import duration
from monitoring.errors import NothingServed
from monitoring.performance.job import performance
from monitoring.performance.result import LivePerformance
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import jobs, locks
from records.repositories.prediction_windows import Served
from records.repositories.served_versions import answering

SINCE_LAST: Final = Asked()

log: Final = structlog.get_logger(__name__)


class Unmeasured(NamedTuple):
    """A version whose window was not measured, and why."""

    served: Served
    error: SluiceError


class Outcome(NamedTuple):
    """What a run of the job found."""

    results: tuple[DriftResult, ...]
    performance: tuple[LivePerformance, ...]
    unmeasured: tuple[Unmeasured, ...]
    alerts: tuple[Entry, ...] = ()
    """Those that the run opened, counted, or saw the cause of no more."""


class Measured(NamedTuple):
    """What one window shows, and the alerts that it is about."""

    result: DriftResult
    alerts: tuple[Entry, ...]


async def run(
    records: Records,
    home: Home,
    settings: MonitoringSettings,
    *,
    asked: Asked = SINCE_LAST,
    model: str | None = None,
    environment: Environment | None = None,
    now: datetime | None = None,
) -> Outcome:
    """Measures each model and environment, keeps the values and the page of each, and returns all.

    What one of them refuses does not keep the others from being measured. That a run over all came to its end
    is kept too, whatever it found.

    Raises:
        NothingServed: no prediction was recorded of what is asked for.
        Locked: another run is under way on this machine.
        RecordsUnavailable: the records do not answer.
    """
    now = now or datetime.now(UTC)
    with locked(home.root / "monitoring" / "drift.lock", what="A drift run"):
        async with records.reading() as session:
            targets = [
                answers.served for answers in await answering(session, model=model, environment=environment)
            ]
        outcome = await _measured(records, home, settings, targets, asked, now)
        if model is None and environment is None:
            async with records.transaction() as session:
                rows = sum(result.rows for result in outcome.results)
                await jobs.completed(session, jobs.Job.DRIFT, now=now, rows=rows)
        if not targets:
            raise _nothing(model, environment)
        return outcome


async def _measured(
    records: Records,
    home: Home,
    settings: MonitoringSettings,
    targets: Sequence[Served],
    asked: Asked,
    now: datetime,
) -> Outcome:
    results: list[DriftResult] = []
    figures: list[LivePerformance] = []
    unmeasured: list[Unmeasured] = []
    entries: list[Entry] = []
    for served in targets:
        facts = {
            "model": served.model_name,
            "environment": served.environment.value,
            "version": served.model_version,
        }
        try:
            reference = reference_of(bundle_of(home, served.model_name, served.model_version))
            judged = await performance(records, home, settings, reference, served, now=now)
            figures += judged.figures
            entries += judged.alerts
            result, seen = await measure_one(records, home, settings, served, reference, asked=asked, now=now)
        except SluiceError as error:
            log.info("drift_not_measured", **facts, code=error.code, reason=error.message)
            unmeasured.append(Unmeasured(served, error))
            continue
        drifted = [family.family for family in result.drifted]
        log.info("drift_measured", **facts, rows=result.rows, drifted=drifted, seconds=result.seconds)
        results.append(result)
        entries += seen
    return Outcome(tuple(results), tuple(figures), tuple(unmeasured), tuple(entries))


async def measure_one(
    records: Records,
    home: Home,
    settings: MonitoringSettings,
    served: Served,
    reference: Reference,
    *,
    asked: Asked = SINCE_LAST,
    now: datetime,
) -> Measured:
    """Returns what one version's window shows, after its page, its values and its alerts were written.

    Values, alerts and what channels are told of them are one transaction: a run that is killed before its end
    leaves none of them, and the next one measures the rows anew.

    Raises:
        TooFewRows: the window holds too few rows.
        WindowMeasured: it overlaps one that was measured.
        ReferenceUnusable: the reference is of other columns than the rows.
    """
    longest = duration(settings.drift_window)
    chosen = await choose(records, served, asked, settings, longest=longest, now=now)
    strictness = Strictness(settings.drift_false_alarms, settings.drift_floor, settings.drift_deals)
    result, pair = measure(reference, served, chosen, asked.kind, strictness, now=now)
    async with records.reading() as session:
        families = [
            family.model_copy(update={"since": await series.since(session, result, family)})
            if family.verdict is Verdict.DRIFT
            else family
            for family in result.families
        ]
    result = result.model_copy(update={"families": tuple(families)})
    if settings.report_when == "always" or (result.drifted and settings.report_when == "drift"):
        # The page comes first: a value that names a page which is not there would be worse than neither.
        result = result.model_copy(update={"report": page.write(home, settings, result, pair)})
    told = effect.of_answers(reference, chosen.window.labels)
    async with records.transaction() as session:
        await _require_alone(session, served, chosen, asked)
        await series.write(session, result)
        entries = await from_drift.write(session, settings, home, result, told)
    return Measured(result, tuple(entries))


async def _require_alone(session: AsyncSession, served: Served, chosen: Chosen, asked: Asked) -> None:
    """Refuses a window that a run on another machine has measured in the meantime."""
    await locks.hold(session, f"drift/{served.model_name}/{served.environment}/{asked.kind}")
    require_new(chosen.period, await series.measured(session, served, asked.kind), served)


def _nothing(model: str | None, environment: Environment | None) -> NothingServed:
    what = f" of {model}" if model else ""
    where = f" in {environment}" if environment else ""
    return NothingServed(
        f"No prediction{what}{where} is recorded.",
        next_step="Send requests through the gateway, which records them; see `sluice records status`.",
    )
