"""Lists a page at a time."""

from datetime import timedelta

from contracts.environments import Environment
from records.engine import Records
from records.repositories import alerts, deliveries, deployments, paged, runs
from records.repositories.alerts import Cause, Note, Sighting
from records.repositories.deliveries import Message
from records.repositories.deployments import NewDeployment
from records.repositories.runs import NewRun
from records.tables.experiment_runs import Trigger
from records.tables.model_deployments import Action
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.records.rows import NOON, after

COUNT = 2 * paged.ROWS + 1


async def test_every_alert_stands_on_one_page(records: Records) -> None:
    """Newest first; only the open ones, or all; of one environment, or of all."""
    sighting = Sighting(severity=Severity.INFO, summary="x", details={}, seen_at=NOON)
    async with records.transaction() as session:
        for at in range(COUNT):
            environment = Environment.STAGING if at % 2 else Environment.PRODUCTION
            cause = Cause("model", environment, AlertKind.DATA_DRIFT, f"{at:03}")
            alert, _ = await alerts.open_or_count(session, cause, sighting)
            if at < 3:
                await alerts.resolve(session, alert.id, Note(actor="a", reason="b", at=after(1)))
    async with records.reading() as session:
        pages = [await paged.alerts(session, number, open_only=False) for number in (1, 2, 3)]
        families = [alert.family for page in pages for alert in page.rows]
        assert families == [f"{at:03}" for at in reversed(range(COUNT))]
        assert [(page.number, page.more) for page in pages] == [(1, True), (2, True), (3, False)]
        last = await paged.alerts(session, 2)
        assert (len(last.rows), last.more) == (COUNT - 3 - paged.ROWS, False)
        staging = await paged.alerts(session, 1, environment=Environment.STAGING, open_only=False)
        assert {alert.environment for alert in staging.rows} == {Environment.STAGING}
        for beyond in (-5, 0):
            assert (await paged.alerts(session, beyond)).number == 1
        assert (await paged.alerts(session, 10**9)).number == paged.PAGES


async def test_ledger_runs_and_dead_letters_have_pages(records: Records) -> None:
    """Newest first; only what was given up is a dead letter."""
    async with records.transaction() as session:
        for at in range(paged.ROWS + 1):
            when = NOON + timedelta(minutes=at)
            await deployments.append(
                session,
                NewDeployment(
                    model_name="model",
                    environment=Environment.STAGING,
                    action=Action.PROMOTE,
                    from_version=str(at) if at else None,
                    to_version=str(at + 1),
                    actor="a",
                    reason="b",
                    gate={},
                    created_at=when,
                ),
            )
            await runs.begin(
                session,
                NewRun(workload=f"w{at}", trigger=Trigger.MANUAL, parameters={}, started_at=when),
            )
            message = Message(alert_id=None, change="test", channel=f"c{at}", payload={})
            await deliveries.enqueue(session, message, now=when)
        claimed = await deliveries.claim_due(session, now=after(99), lease=timedelta(minutes=1), limit=5)
        for delivery in claimed:
            await deliveries.mark_dead(session, delivery, error="gone")
        gone = [delivery.channel for delivery in sorted(claimed, key=lambda each: each.id, reverse=True)]
        assert len(gone) > 1
    async with records.reading() as session:
        ledger = await paged.deployments(session, 1)
        assert [move.to_version for move in ledger.rows[:2]] == [str(paged.ROWS + 1), str(paged.ROWS)]
        assert ledger.more
        assert [run.workload for run in (await paged.runs(session, 2)).rows] == ["w0"]
        dead = await paged.dead_letters(session, 1)
        assert [delivery.channel for delivery in dead.rows] == gone
        assert not dead.more
