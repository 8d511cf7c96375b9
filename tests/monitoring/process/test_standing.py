"""What stands in the records as metrics: the latest of everything, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

from contracts import metrics as contract
from contracts.environments import Environment
from contracts.metrics import Kind
from monitoring.standing import Stand, Value, read
from records.engine import Records
from records.repositories import alerts, deliveries, deployments, jobs, metrics
from records.repositories.alerts import Cause, Note, Sighting
from records.repositories.deliveries import Message
from records.repositories.deployments import NewDeployment
from records.repositories.metrics import Measurement
from records.tables.model_deployments import Action
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.records.conftest import address, connect, migrated_file, postgresql, records

__all__ = ["address", "migrated_file", "postgresql", "records"]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
IRIS = "iris"


def measured(metric: str, value: float, hour: int, **changed: Any) -> Measurement:
    """Returns one value of a window that ended so many hours after noon."""
    values: dict[str, Any] = {
        "model_name": IRIS,
        "source": "production",
        "dataset": "1",
        "metric": metric,
        "window_start": NOON + (hour - 1) * HOUR,
        "window_end": NOON + hour * HOUR,
        "measured_at": NOON + hour * HOUR,
        "value": value,
        "row_count": 300,
    }
    return Measurement(**(values | changed))


async def told(memory: Records, now: datetime = NOON) -> dict[tuple[str, ...], float]:
    """Returns what is read, by name and labels."""
    async with memory.reading() as session:
        found: list[Value] = await read(session, now)
    for value in found:
        assert value.metric.kind is Kind.GAUGE
        assert len(value.labels) == len(value.metric.labels)
    return {(value.metric.name, *value.labels): value.value for value in found}


async def test_of_records_without_a_row_nothing_is_told(records: Records) -> None:
    """No zero where nothing is known."""
    assert await told(records) == {}


async def test_of_drift_and_figures_the_latest_run_counts(records: Records) -> None:
    """Earlier windows, and the version before, are not told any more; training is no environment."""
    rows = [
        measured("drift_run", 1, 1, feature="period"),
        measured("drift", 1.0, 1, family="numbers"),
        measured("drift", 1.0, 1, family="gone"),
        measured("drift_run", 0, 2, feature="rows", dataset="2"),
        measured("drift", 0.5, 2, family="numbers", dataset="2"),
        measured("psi", 0.3, 2, family="numbers", feature="petal", dataset="2"),
        measured("live_precision", 0.8, 1),
        measured("live_precision", 0.9, 2, dataset="2"),
        measured("estimated_recall", 0.7, 2, dataset="2"),
        measured("live_recall", 0.1, 1),
        measured("drift_run", 0, 3, source="staging", feature="period", dataset="2"),
        measured("drift", 0.0, 3, source="staging", family="numbers", dataset="2"),
        measured("psi", 0.3, 3, source="training"),
    ]
    async with records.transaction() as session:
        await metrics.write(session, rows)
        await jobs.completed(session, jobs.Job.DRIFT, now=NOON)
        await jobs.completed(session, jobs.Job.DRIFT, now=NOON + HOUR)
        await jobs.completed(session, jobs.Job.INGEST, now=NOON)
    place = ("production", IRIS)
    assert await told(records) == {
        (contract.DRIFT_JOB_TIMESTAMP.name,): (NOON + HOUR).timestamp(),
        (contract.FEATURES_INGEST_TIMESTAMP.name,): NOON.timestamp(),
        (contract.DRIFT_RUN_TIMESTAMP.name, *place): (NOON + 2 * HOUR).timestamp(),
        (contract.DRIFT.name, *place, "2", "numbers"): 0.5,
        (contract.LIVE_FIGURE.name, *place, "2", "precision", "false"): 0.9,
        (contract.LIVE_FIGURE.name, *place, "2", "recall", "true"): 0.7,
        (contract.DRIFT_RUN_TIMESTAMP.name, "staging", IRIS): (NOON + 3 * HOUR).timestamp(),
        (contract.DRIFT.name, "staging", IRIS, "2", "numbers"): 0.0,
    }


async def test_alerts_messages_and_the_ledger_are_counted(records: Records) -> None:
    """Open alerts only, messages that wait or were given up, and the version that should answer."""
    async with records.transaction() as session:
        for family in ("a", "b", "c"):
            cause = Cause(IRIS, Environment.PRODUCTION, AlertKind.DATA_DRIFT, family)
            seen = Sighting(severity=Severity.WARNING, summary="It moved.", details={}, seen_at=NOON)
            alert = (await alerts.open_or_count(session, cause, seen)).alert
            for channel in ("pager", "slack"):
                message = Message(alert_id=alert.id, change=f"opened-{family}", channel=channel, payload={})
                await deliveries.enqueue(session, message, now=NOON)
        await alerts.resolve(session, alert.id, Note(actor="ann", reason="seen to", at=NOON))
        for delivery in await deliveries.claim_due(session, now=NOON, lease=HOUR, limit=100):
            if delivery.channel == "slack" and delivery.alert_id == alert.id:
                await deliveries.mark_dead(session, delivery, error="gone")
            elif delivery.channel == "slack":
                await deliveries.mark_delivered(session, delivery, now=NOON, http_status=200)
        for version in ("1", "2"):
            move = NewDeployment(
                model_name=IRIS,
                environment=Environment.STAGING,
                action=Action.PROMOTE,
                from_version=None,
                to_version=version,
                actor="ann",
                reason="a test",
                gate={},
                created_at=NOON + int(version) * HOUR,
            )
            await deployments.append(session, move)
    found = await told(records, NOON + HOUR)
    assert found.pop((contract.ALERTS_OPEN.name, "production", "data_drift", "warning")) == 2
    assert found.pop((contract.DEPLOYED_MODEL.name, "staging", IRIS, "2")) == 1
    assert found.pop((contract.DELIVERY_AGE_SECONDS.name, "pager")) == 3600
    kinds = {key: value for key, value in found.items() if key[0] == contract.DELIVERIES.name}
    assert kinds.keys() == found.keys()
    assert found[contract.DELIVERIES.name, "pager", "pending"] == 3
    assert sum(value for key, value in found.items() if key[1] == "slack") >= 1


async def test_records_that_cannot_be_read_are_said_to_be_so(tmp_path: Any) -> None:
    """And no value is told; who asks at once is answered by one read."""
    memory = connect(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'records.db'}")
    stand = Stand(memory)
    standing = await stand.now()
    assert standing.values == ()
    assert standing.trouble is not None
    assert standing.trouble.code == "records_unavailable"
    assert await stand.now() is standing
    await memory.close()


async def test_models_and_sources_are_found_by_steps(records: Records) -> None:
    """Each pair once, in order, whatever the number of its rows."""
    rows = [
        measured("psi", 0.1, hour, model_name=f"model-{at}", source=source)
        for at in range(3)
        for source in ("staging", "production", "training")
        for hour in range(1, 5)
    ]
    async with records.transaction() as session:
        await metrics.write(session, rows)
        pairs = await metrics.measured_sources(session)
    wanted = [(f"model-{at}", source) for at in range(3) for source in ("production", "staging", "training")]
    assert pairs == wanted
