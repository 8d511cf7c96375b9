"""The drift job: every version that answers, or the ones asked for; the same for a person and a scheduler."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from contracts.environments import Environment
from kit.errors import SluiceError
from kit.files import locked
from kit.home import Home
from monitoring.drift import series
from monitoring.drift.measure import measure
from monitoring.drift.reference import Reference, bundle_of, reference_of
from monitoring.drift.report import page
from monitoring.drift.result import DriftResult, Verdict
from monitoring.drift.verdicts import Strictness
from monitoring.drift.windows import Asked, choose
from monitoring.durations import duration
from monitoring.errors import NothingServed
from monitoring.performance.job import performance
from monitoring.performance.result import LivePerformance
from monitoring.settings import MonitoringSettings
from records.engine import Records
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

    What one of them refuses does not keep the others from being measured.

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
        if not targets:
            raise _nothing(model, environment)
        return await _measured(records, home, settings, targets, asked, now)


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
    for served in targets:
        facts = {
            "model": served.model_name,
            "environment": served.environment.value,
            "version": served.model_version,
        }
        try:
            reference = reference_of(bundle_of(home, served.model_name, served.model_version))
            figures += await performance(records, settings, reference, served, now=now)
            result = await measure_one(records, home, settings, served, reference, asked=asked, now=now)
        except SluiceError as error:
            log.info("drift_not_measured", **facts, code=error.code, reason=error.message)
            unmeasured.append(Unmeasured(served, error))
            continue
        drifted = [family.family for family in result.drifted]
        log.info("drift_measured", **facts, rows=result.rows, drifted=drifted, seconds=result.seconds)
        results.append(result)
    return Outcome(tuple(results), tuple(figures), tuple(unmeasured))


async def measure_one(
    records: Records,
    home: Home,
    settings: MonitoringSettings,
    served: Served,
    reference: Reference,
    *,
    asked: Asked = SINCE_LAST,
    now: datetime,
) -> DriftResult:
    """Returns what one version's window shows, after its values and, of a drift, its page were written.

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
    async with records.transaction() as session:
        await series.write(session, result)
    return result


def _nothing(model: str | None, environment: Environment | None) -> NothingServed:
    what = f" of {model}" if model else ""
    where = f" in {environment}" if environment else ""
    return NothingServed(
        f"No prediction{what}{where} is recorded.",
        next_step="Send requests through the gateway, which records them; see `sluice records status`.",
    )
