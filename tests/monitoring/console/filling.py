"""Records for the pages of the console to show: traffic, runs, alerts, messages, a ledger."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from contracts.environments import Environment
from contracts.tensors import SPAM_DETECTOR
from kit.home import Home
from monitoring.alerts import book
from monitoring.alerts.event import Evidence, Moved
from monitoring.delivery.channel import Channel
from monitoring.drift import series
from monitoring.performance.job import ESTIMATED, LIVE
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import deliveries, deployments, metrics, predictions, runs
from records.repositories.alerts import Cause, Note
from records.repositories.deployments import NewDeployment
from records.repositories.metrics import Measurement
from records.repositories.predictions import NewPrediction
from records.repositories.runs import NewRun, RunEnd
from records.tables.experiment_runs import RunStatus, Trigger
from records.tables.model_deployments import Action
from records.tables.monitoring_alerts import AlertKind, Severity

FAMILIES = ("header", "score", "sender", "structure", "text")
REPORT = "reports/drift/spam-detector/production/1/latest.html"
PAGE = "<!doctype html><title>report</title><p id=p>before</p><script>p.textContent = 'drawn'</script>"
CHANNELS = (
    Channel(name="on-call", format="slack", url=SecretStr("https://example.com/hook")),
    Channel(name="archive", format="slack", url=SecretStr("https://example.com/other")),
)

Say = Callable[[str], str]


def as_it_is(text: str) -> str:
    """Says what is to be said."""
    return text


async def traffic(records: Records, now: datetime, *, rows: int = 600, version: str = "1") -> None:
    """Writes predictions of the last day in both environments, most of them lately."""
    made = []
    for environment, share in ((Environment.PRODUCTION, 1), (Environment.STAGING, 4)):
        for at in range(rows // share):
            hours = 23 * (at / (rows / share)) ** 1.6
            made.append(
                NewPrediction.checked(
                    request_id=f"{environment}-{version}-{at}",
                    created_at=now - timedelta(hours=hours),
                    environment=environment,
                    model_name=SPAM_DETECTOR,
                    model_version=version if environment is Environment.PRODUCTION else "2",
                    schema_digest="0" * 64,
                    numeric=(0.0,) * 24,
                    probability=0.2,
                    threshold=0.5,
                    label="ham",
                    latency_seconds=0.004 + 0.003 * ((at * 7919) % 13) + (0.2 if at % 41 == 0 else 0),
                    defaulted_features=8 if at % 12 == 0 else 0,
                )
            )
    async with records.transaction() as session:
        await predictions.insert_many(session, made, recorded_at=now)


async def drift(
    records: Records, now: datetime, *, windows: int = 30, model: str = SPAM_DETECTOR, say: Say = as_it_is
) -> None:
    """Writes a month of drift runs, the last ones with drift, and live figures that fell."""
    made: list[Measurement] = []
    for at in range(windows):
        end = now - timedelta(days=windows - 1 - at)
        late = at > windows - 4

        def one(
            metric: str,
            value: float,
            *,
            family: str = "",
            feature: str = "",
            end: datetime = end,
            details: dict[str, Any] | None = None,
        ) -> Measurement:
            return Measurement(
                model_name=model,
                source=Environment.PRODUCTION.value,
                dataset="1",
                metric=metric,
                family=family,
                feature=feature,
                window_start=end - timedelta(days=1),
                window_end=end,
                measured_at=end,
                value=value,
                row_count=1200,
                details=details or {},
            )

        made.append(
            one(series.RUN, float(late), feature="period", details={"report": REPORT if late else ""})
        )
        for number, family in enumerate(FAMILIES):
            moved = 0.02 + 0.01 * ((at * 31 + number * 17) % 5) + (0.3 if late and family == "header" else 0)
            verdict = 1.0 if moved > 0.2 else (0.5 if moved > 0.055 else 0.0)
            sentence = say(f"The {family} features are as the reference has them.")
            made.append(one(series.VERDICT, verdict, family=family, details={"sentence": sentence}))
            made.append(one("moved_share", moved, family=family, feature="any"))
        for figure, start in (("f1", 0.96), ("precision", 0.97), ("recall", 0.95)):
            value = start - (0.12 if late else 0.01 * (at % 3))
            found = {"low": value - 0.02, "high": min(1.0, value + 0.02), "certificate": start, "worse": late}
            made.append(one(f"{LIVE}{figure}", value, details=found))
            guess = start - 0.005 * (at % 4)
            found = found | {"low": guess - 0.01, "high": guess + 0.01, "worse": False}
            made.append(one(f"{ESTIMATED}{figure}", guess, details=found))
    async with records.transaction() as session:
        await metrics.write(session, made)


async def alert(
    records: Records,
    settings: MonitoringSettings,
    home: Home,
    now: datetime,
    *,
    family: str = "header",
    kind: AlertKind = AlertKind.DATA_DRIFT,
    severity: Severity = Severity.CRITICAL,
    say: Say = as_it_is,
) -> UUID:
    """Writes an alert as a run does, and returns its id."""
    evidence = Evidence(
        since=now - timedelta(hours=5),
        rows=1200,
        size=0.33,
        moved=(
            Moved(name=say("received_count"), reference=say("90 % 2 to 4"), current=say("60 % 9")),
            Moved(name=say("hop_count"), reference=say("always 3"), current=say("always 11")),
        ),
        examples=(say("req-1"), say("req-2")),
        effect=say("About 41 verdicts in 1,000 would have been others."),
        cause=say("Every message came through one new relay."),
        report=REPORT,
    )
    async with records.transaction() as session:
        entry = await book.sighted(
            session,
            settings,
            home,
            Cause(SPAM_DETECTOR, Environment.PRODUCTION, kind, family),
            book.Sighting(
                severity=severity,
                summary=say("33 % of the predictions moved: received_count went from 2 to 4 up to 9."),
                evidence=evidence,
                seen_at=now,
                model_version="1",
            ),
        )
    return entry.alert.id


async def ledger(records: Records, now: datetime, *, say: Say = as_it_is) -> None:
    """Writes three moves."""
    gate = {
        "accepted": True,
        "reasons": [
            {"rule": "floor", "passed": True, "sentence": say("F1 is 0.9797, above the floor of 0.95.")},
            {"rule": "latency", "passed": False, "sentence": say("One row takes 13 ms.")},
        ],
    }
    async with records.transaction() as session:
        for hours, environment, before, after, action in (
            (50, Environment.STAGING, None, "1", Action.PROMOTE),
            (40, Environment.PRODUCTION, None, "1", Action.PROMOTE),
            (3, Environment.STAGING, "1", "2", Action.PROMOTE),
        ):
            await deployments.append(
                session,
                NewDeployment(
                    model_name=SPAM_DETECTOR,
                    environment=environment,
                    action=action,
                    from_version=before,
                    to_version=after,
                    actor=say("pipeline"),
                    reason=say("Accepted by the gate in run 20261121-1327."),
                    gate=gate,
                    created_at=now - timedelta(hours=hours),
                ),
            )


async def trained(records: Records, now: datetime, *, say: Say = as_it_is) -> None:
    """Writes a run that was accepted, one that failed, one that was refused and one under way."""
    figures = {"f1": 0.9797, "precision": 0.977, "recall": 0.9825, "roc_auc": 0.999, "brier": 0.0097}
    async with records.transaction() as session:
        for hours, status, reasons in (
            (30, RunStatus.ACCEPTED, []),
            (20, RunStatus.FAILED, [say("A step crashed: the corpus could not be fetched.")]),
            (9, RunStatus.REFUSED, [say("F1 on the mean over 5 seeds is 0.9312, below the floor of 0.95.")]),
            (0.1, None, []),
        ):
            began = now - timedelta(hours=hours)
            run = await runs.begin(
                session,
                NewRun(
                    workload=SPAM_DETECTOR,
                    trigger=Trigger.DRIFT if hours < 10 else Trigger.MANUAL,
                    trigger_reason=say("Drift of header in production.") if hours < 10 else None,
                    parameters={"trials": 5, "note": say("none")},
                    started_at=began,
                    git_commit="47a8851fa5d7",
                ),
            )
            if status is not None:
                end = RunEnd(
                    status=status,
                    finished_at=began + timedelta(minutes=4),
                    figures=figures if status is not RunStatus.FAILED else {},
                    reasons=reasons,
                    mlflow_run_id=say("8d635d30efe14c02")[:64],
                    model_version="2" if status is RunStatus.ACCEPTED else None,
                )
                await runs.finish(session, run.id, end)


async def given_up(records: Records, now: datetime, *, error: str = "The channel did not answer.") -> UUID:
    """Gives up on one message that waits, and returns its id."""
    async with records.transaction() as session:
        claimed = await deliveries.claim_due(session, now=now, lease=timedelta(minutes=1), limit=1)
        await deliveries.mark_dead(session, claimed[0], error=error, http_status=503)
    return claimed[0].id


async def everything(
    records: Records, settings: MonitoringSettings, home: Home, *, say: Say = as_it_is
) -> UUID:
    """Fills all that pages show, and returns the id of an open critical alert."""
    now = datetime.now(UTC)
    await traffic(records, now)
    await drift(records, now, say=say)
    await ledger(records, now, say=say)
    await trained(records, now, say=say)
    other = await alert(
        records, settings, home, now - timedelta(hours=30), family="text", severity=Severity.WARNING, say=say
    )
    await given_up(records, now, error=say("The channel answered 503."))
    said = Note(actor=say("ann"), reason=say("looking into it"), at=now - timedelta(hours=2))
    await book.acknowledge(records, settings, home, other, said)
    path = home.root / REPORT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PAGE, encoding="utf-8")
    return await alert(records, settings, home, now - timedelta(hours=4), say=say)
