"""What the checks make of a real gateway: lost predictions, failing models, and nothing where all is well."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.environments import Environment
from contracts.tensors import SPAM_DETECTOR
from kit.files import locked
from kit.home import Home
from monitoring.checks.run import Checked, Said, run
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.settings import MonitoringSettings
from records.engine import Records, build_engine
from records.repositories import alerts, deployments
from records.repositories.deployments import NewDeployment
from records.settings import SQLITE, RecordsSettings
from records.tables.model_deployments import Action
from records.tables.monitoring_alerts import AlertKind, Severity
from tests.gateway.app.conftest import mails
from tests.gateway.app.servers import answering
from tests.monitoring.process.doors import Door, gateway
from tests.monitoring.process.running import PREFIXES

__all__ = ["mails"]

pytestmark = pytest.mark.xdist_group("monitoring-process")


@pytest.fixture
def bundle(mails: dict[str, Path]) -> Path:
    """A model that answers."""
    return mails["production"]


@pytest.fixture(autouse=True)
def here(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways of a test belong to its machine."""
    for name in list(os.environ):
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_HOME", str(home.root))


@pytest.fixture
async def memory(home: Home) -> AsyncIterator[Records]:
    """Records that know what serves: version 1, in both environments."""
    records = Records(build_engine(RecordsSettings.load(url=SecretStr(f"{SQLITE}:///{home.records}"))))
    async with records.transaction() as session:
        for environment in Environment:
            move = NewDeployment(
                model_name=SPAM_DETECTOR,
                environment=environment,
                action=Action.PROMOTE,
                from_version=None,
                to_version="1",
                actor="ann",
                reason="a test",
                gate={},
                created_at=datetime.now(UTC),
            )
            await deployments.append(session, move)
    yield records
    await records.close()


class Watch:
    """Runs the checks against one gateway."""

    def __init__(self, home: Home, records: Records, url: str, **values: Any) -> None:
        settings = MonitoringSettings.load(gateway_url=url, **values)
        self.parts = Parts(settings, home, records, Measures())

    async def look(self) -> Checked:
        """Looks once."""
        return await run(self.parts, now=datetime.now(UTC))

    async def said(self, kind: AlertKind) -> list[Said]:
        """Looks once, and returns what was said of a kind."""
        checked = await self.look()
        assert checked.unread is None
        return [each for each in checked.said if each.kind == kind]

    async def alerts(self) -> list[tuple[str, str, str, int]]:
        """Returns kind, environment, severity and number of sightings of each open alert."""
        async with self.parts.records.reading() as session:
            found = await alerts.listed(session)
        return [(each.kind, each.environment, each.severity, each.occurrences) for each in found]


def embedded(bundle: Path, **values: Any) -> dict[str, Any]:
    """Returns the settings of a gateway that answers for production by itself."""
    return {"backend": "embedded", "bundles": {Environment.PRODUCTION: bundle}} | values


async def asked(door: Door, count: int, name: str) -> None:
    """Asks, and sees to it that all was answered and written."""
    before = await door.metric("sluice_gateway_records_written_total")
    assert set(await door.ask(count, name)) == {200}
    await door.until("sluice_gateway_records_written_total", before + count)


async def test_of_a_gateway_that_loses_nothing_no_loss_and_no_error_is_told(
    home: Home, memory: Records, bundle: Path
) -> None:
    """Not at the first look, not at the next, and not when it was started anew and counts from nothing.

    It looks no senders up, which is another matter: all its answers have default features.
    """
    for start, counts in (("first", (30, 25)), ("second", (22,))):
        async with gateway(home.root, **embedded(bundle)) as door:
            await door.ready()
            watch = Watch(home, memory, door.url)
            for count in counts:
                await asked(door, count, f"{start}-{count}")
                (said,) = (await watch.look()).said
                assert said.kind == AlertKind.STALE_FEATURES
                assert "100 %" in said.summary
    assert [(each[0], each[3]) for each in await watch.alerts()] == [(AlertKind.STALE_FEATURES, 3)]


async def test_dropped_predictions_are_one_alert_until_none_are_any_more(
    home: Home, memory: Records, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database is away and its spool full. The alert is counted while it lasts, and resolves itself."""
    small = {"spool_max_bytes": 1 << 16, "records_queue": 5}
    with monkeypatch.context() as patch:
        patch.setenv("RECORDS_URL", f"{SQLITE}:////nowhere/at/all.db")
        async with gateway(home.root, **embedded(bundle, **small)) as door:
            await door.ready()
            watch = Watch(home, memory, door.url)
            count = 0
            while not await door.metric("sluice_gateway_records_dropped_total"):
                assert set(await door.ask(40, f"lost-{(count := count + 1)}")) == {200}
            (said,) = await watch.said(AlertKind.PREDICTION_LOSS)
            assert (said.environment, said.change) == (Environment.PRODUCTION, "opened")
            assert said.severity in {Severity.WARNING, Severity.CRITICAL}
            assert "dropped" in said.summary
            assert "full" in said.summary
            assert set(await door.ask(30, "more")) == {200}
            (said,) = await watch.said(AlertKind.PREDICTION_LOSS)
            assert said.change != "opened"
            assert [(each[0], each[3]) for each in await watch.alerts()] == [(AlertKind.PREDICTION_LOSS, 2)]
    async with gateway(home.root, **embedded(bundle)) as door:
        await door.ready()
        await spool_empty(door)
        healed = Watch(home, memory, door.url)
        changes = [(await healed.said(AlertKind.PREDICTION_LOSS))[0].change for _ in range(3)]
    assert changes == [None, None, "resolved"]
    assert AlertKind.PREDICTION_LOSS not in [each[0] for each in await watch.alerts()]


@pytest.mark.parametrize(("count", "seen"), [(19, False), (20, True)])
async def test_a_gateway_that_remembers_nothing_is_told_when_enough_was_asked(
    home: Home, memory: Records, bundle: Path, count: int, *, seen: bool
) -> None:
    """With GATEWAY_RECORD off, say: drift and history are blind."""
    async with gateway(home.root, **embedded(bundle, record=False)) as door:
        await door.ready()
        watch = Watch(home, memory, door.url)
        assert set(await door.ask(count, "silent")) == {200}
        said = await watch.said(AlertKind.PREDICTION_LOSS)
    assert ["remembered none" in each.summary for each in said] == [True] * seen


async def test_predictions_that_are_written_elsewhere_are_missed(
    home: Home, memory: Records, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway writes to another database, and all is well for itself."""
    (tmp_path / "other.db").write_bytes(home.records.read_bytes())
    monkeypatch.setenv("RECORDS_URL", f"{SQLITE}:///{tmp_path / 'other.db'}")
    async with gateway(home.root, **embedded(bundle)) as door:
        await door.ready()
        watch = Watch(home, memory, door.url)
        await asked(door, 30, "elsewhere")
        (said,) = await watch.said(AlertKind.PREDICTION_LOSS)
    assert "30 predictions that it wrote are not in these records" in said.summary


async def test_a_model_that_fails_is_one_alert_until_it_answers_again(
    home: Home, memory: Records, bundle: Path
) -> None:
    """5xx beyond the share, and the breaker that opens; the other environment is not concerned."""
    async with answering(500) as behind:
        upstreams = {Environment.PRODUCTION: {SPAM_DETECTOR: behind}}
        values = {"upstreams": upstreams, "breaker_seconds": 600}
        async with gateway(home.root, **values) as door:
            watch = Watch(home, memory, door.url)
            assert {status // 100 for status in await door.ask(25, "failing")} == {5}
            (said,) = await watch.said(AlertKind.MODEL_ERROR)
            assert (said.model, said.environment, said.change) == (
                SPAM_DETECTOR,
                Environment.PRODUCTION,
                "opened",
            )
            assert "25 of 25 requests in production failed" in said.summary
            assert "alone" in said.summary
            # Nobody asks, and the breaker is still open.
            (said,) = await watch.said(AlertKind.MODEL_ERROR)
            assert said.change is None
    async with gateway(home.root, **embedded(bundle)) as door:
        await door.ready()
        healed = Watch(home, memory, door.url)
        changes = []
        for look in range(4):
            await asked(door, 20, f"well-{look}")
            changes += [each.change for each in await healed.said(AlertKind.MODEL_ERROR)]
    assert changes == [None, None, "resolved"]


async def test_few_requests_wait_for_more(home: Home, memory: Records, bundle: Path) -> None:
    """9 that fail say nothing; with 11 more there are enough. What staging has is a warning."""
    async with gateway(home.root, **embedded(bundle)) as door:
        await door.ready()
        # An environment without a model fails on our side too; the ledger says that one should be there.
        watch = Watch(home, memory, door.url)
        assert {status // 100 for status in await door.ask(9, "few", "staging")} == {5}
        said = await watch.said(AlertKind.MODEL_ERROR)
        assert said == []
        assert {status // 100 for status in await door.ask(11, "more", "staging")} == {5}
        (said_of_staging,) = await watch.said(AlertKind.MODEL_ERROR)
        assert "20 of 20 requests in staging failed" in said_of_staging.summary
        assert said_of_staging.severity == Severity.WARNING


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>hello</html>"),
        (200, b"process_start_time_seconds 1\n"),
        (200, b"sluice_gateway_requests_total{ 1 1 1\nprocess_start_time_seconds x\n"),
        (200, b"\xff\xfe" * 1000),
        (200, b"sluice_gateway_requests_total 1\n" * 400_000),
        (403, b"no"),
        (500, b"sluice_gateway_requests_total 1\n"),
    ],
    ids=["empty", "page", "another", "broken", "bytes", "endless", "forbidden", "failing"],
)
async def test_what_is_no_gateway_is_told_and_the_other_checks_are_made(
    home: Home, memory: Records, status: int, body: bytes
) -> None:
    """And nothing is forgotten or opened."""
    async with answering(status, body) as url:
        watch = Watch(home, memory, url)
        checked = await watch.look()
    assert checked.unread is not None
    assert checked.said == ()
    registry = watch.parts.measures.registry
    assert registry.get_sample_value("sluice_monitoring_gateway_read") == 0


async def test_a_gateway_that_is_gone_and_none_at_all(home: Home, memory: Records) -> None:
    """The first is told; of the second there is nothing to tell, nor to count."""
    gone = await Watch(home, memory, "http://127.0.0.1:9").look()
    assert "does not answer" in str(gone.unread)
    nowhere = Watch(home, memory, "")
    assert (await nowhere.look()).unread is None
    assert nowhere.parts.measures.registry.get_sample_value("sluice_monitoring_gateway_read") is None


async def test_two_looks_at_once_are_one(home: Home, memory: Records) -> None:
    """The second is refused while the first is at it."""
    watch = Watch(home, memory, "")
    with (
        locked(home.root / "monitoring" / "checks.lock", what="A check"),
        pytest.raises(Exception, match="under way"),
    ):
        await watch.look()


async def spool_empty(door: Door) -> None:
    """Returns once what was spooled is in the database."""
    while await door.metric("sluice_gateway_spool_bytes"):  # noqa: ASYNC110 - only its page tells
        await asyncio.sleep(0.02)
