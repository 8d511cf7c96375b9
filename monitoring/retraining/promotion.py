"""Promotes what the loop trained from staging to production, by the public command, if its gate lets it.

Off unless MONITORING_AUTO_PROMOTE is set. The verdict and every reason stay with the run in `experiment_runs`
(`auto_promote` among its parameters); a promotion stands in the ledger too.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.environments import Environment
from kit.errors import ExitCode, SluiceError
from kit.home import Home
from monitoring.drift import series
from monitoring.drift.reference import bundle_of
from monitoring.parts import Parts
from monitoring.retraining.promotion_gate import FIGURES, Certificate, Evidence, Reason, judged
from monitoring.retraining.starts import start_of
from monitoring.subcommands import sluice
from records.repositories import alerts, deployments, metrics, runs, shadows
from records.repositories.prediction_windows import Served
from records.tables import ExperimentRun, ModelDeployment
from records.tables.experiment_runs import RunStatus

VERDICT: Final = "auto_promote"
"""Among the parameters of a run whose version was judged."""
PROMOTED: Final = "promoted"
REFUSED: Final = "refused"
FAILED: Final = "failed"
_MOST: Final = 1000

log: Final = structlog.get_logger(__name__)


async def promote_ready(parts: Parts, now: datetime | None = None) -> list[str]:
    """Judges each version that the loop trained and that is in staging alone; returns those that it promoted.

    Raises:
        RecordsUnavailable: the records do not answer.
    """
    now = now or datetime.now(UTC)
    if not parts.settings.auto_promote:
        return []
    async with parts.records.reading() as session:
        moves = await deployments.serving(session)
        places = {(move.model_name, move.environment): move for move in moves}
        staged = [move for move in moves if move.environment == Environment.STAGING]
        candidates = [
            (move, run, places.get((move.model_name, Environment.PRODUCTION.value)))
            for move in staged
            if (run := await _trained_by_the_loop(session, move)) is not None
        ]
    promoted = []
    for move, run, production in candidates:
        if production is not None and production.to_version == move.to_version:
            continue
        reasons = judged(await _evidence(parts, move, production), parts.settings, now)
        if await _carried_out(parts, move, run, reasons, now):
            promoted.append(f"{move.model_name} {move.to_version}")
    return promoted


async def _trained_by_the_loop(session: AsyncSession, move: ModelDeployment) -> ExperimentRun | None:
    run = await runs.made(session, move.model_name, move.to_version)
    ours = run is not None and run.status == RunStatus.ACCEPTED and start_of(run) is not None
    return run if ours else None


async def _evidence(parts: Parts, move: ModelDeployment, production: ModelDeployment | None) -> Evidence:
    model, version, since = move.model_name, move.to_version, move.created_at
    own = Served(model, Environment.STAGING, version)
    async with parts.records.reading() as session:
        found = await alerts.listed(session, environment=Environment.STAGING, limit=_MOST)
        values = await metrics.of_dataset(
            session, model_name=model, source=Environment.STAGING.value, dataset=version
        )
        answers = await shadows.answers(session, own, since=since)
        pairs = shadows.Pairs(0, 0)
        if production is not None:
            other = Served(model, Environment.PRODUCTION, production.to_version)
            pairs = await shadows.pairs(session, own, other, since=since)
    return Evidence(
        version=version,
        production=None if production is None else production.to_version,
        staged_at=since,
        answers=answers,
        pairs=pairs,
        measured=any(value.metric == series.RUN and value.window_end >= since for value in values),
        alerts=tuple(alert.key for alert in found if alert.model_name == model),
        own=await asyncio.to_thread(_certificate, parts.home, model, version),
        other=None
        if production is None
        else await asyncio.to_thread(_certificate, parts.home, model, production.to_version),
    )


def _certificate(home: Home, model: str, version: str) -> Certificate | None:
    try:
        bundle = bundle_of(home, model, version)
        rows = bundle.reference().num_rows
    except SluiceError as error:
        log.warning("certificate_unread", model=model, version=version, reason=error.message)
        return None
    return Certificate(
        {name: found for name, found in bundle.contract.metrics.items() if name in FIGURES}, rows
    )


async def _carried_out(
    parts: Parts, move: ModelDeployment, run: ExperimentRun, reasons: Sequence[Reason], now: datetime
) -> bool:
    model, version = move.model_name, move.to_version
    refusals = [reason for reason in reasons if not reason.kept]
    if refusals:
        await _keep(parts, run, REFUSED, reasons, now)
        return False
    why = f"Promoted by the loop: {' '.join(reason.sentence for reason in reasons)}"[:_MOST]
    ended = await sluice(
        parts.home,
        "model",
        "promote",
        version,
        "--to=production",
        f"--workload={model}",
        f"--reason={why}",
        "--yes",
    )
    if ended.code == ExitCode.DONE:
        await _keep(parts, run, PROMOTED, reasons, now)
        return True
    told = str(ended.document.get("detail") or f"The command left with exit code {ended.code}.")
    await _keep(parts, run, FAILED, [Reason("the promotion itself", kept=False, sentence=told)], now)
    return False


async def _keep(
    parts: Parts, run: ExperimentRun, verdict: str, reasons: Sequence[Reason], now: datetime
) -> None:
    """Writes the verdict with the run, and logs it where it is another one than before."""
    broken = [reason.rule for reason in reasons if not reason.kept]
    told: dict[str, Any] = {
        "verdict": verdict,
        "at": now.isoformat(timespec="seconds"),
        "broken": broken,
        "reasons": [reason.sentence for reason in reasons],
    }
    former = run.parameters.get(VERDICT) or {}
    async with parts.records.transaction() as session:
        await runs.note(session, run.id, VERDICT, told)
    if (former.get("verdict"), former.get("broken")) != (verdict, broken):
        log.info(
            "auto_promote_judged",
            model=run.workload,
            version=run.model_version,
            verdict=verdict,
            reasons=[reason.sentence for reason in reasons if not reason.kept],
        )
