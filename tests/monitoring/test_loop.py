"""The loop, closed for real: shifted traffic, alert, signed webhook, pipeline, new version, quiet again.

Nothing in it is a stand-in: the version in staging came out of a run of the pipeline, the answers are its
graph's, the drift job measures them, the sender signs and posts, a real server verifies, the pipeline's own
command trains in a process of its own, and the registry, the ledger and the records say what came of it.

What is retrained on: the data of `iris` are scikit-learn's flowers and those that people named since
(`SLUICE_HOME/iris/labelled.csv`). The world changes here by a garden in which everything grows larger; the
test measures and names some of its flowers before the drift is found, as people would. Without that file a
retraining would learn the old world again, and the drift would stay.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr

from contracts.environments import Environment
from contracts.monitoring import HOOK_DRIFT
from kit.home import Home
from kit.onnx_function import OnnxFunction
from monitoring.delivery.sender import send_due
from monitoring.drift import job
from monitoring.drift.reference import bundle_of
from monitoring.measures import Measures
from monitoring.parts import Parts
from monitoring.retraining.loop import follow
from monitoring.retraining.promotion import VERDICT, promote_ready
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.model_registry import TRACKING_URI, opened
from records.repositories import alerts, deployments, predictions, runs
from records.repositories.deployments import NewDeployment
from records.repositories.predictions import NewPrediction
from records.tables import ExperimentRun
from records.tables.experiment_runs import RunStatus
from records.tables.model_deployments import Action
from tests.monitoring.conftest import connect
from tests.monitoring.hooks import SECRET, served
from tests.pipelines.conftest import Finished, environment
from training.workloads import iris

pytestmark = [
    pytest.mark.xdist_group("pipelines"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]

MODEL = iris.NAME
LARGER = 1.3
MIX = 0.8
"""The share of flowers that come from the other garden, once there is one."""
HOUR = timedelta(hours=1)


class Flowers(NamedTuple):
    """N flowers: what is measured, and what they are."""

    numbers: NDArray[np.float32]
    species: NDArray[np.int64]


def grown(count: int, *, larger: float, seed: int) -> Flowers:
    """Returns flowers as they grow, measured to a millimetre: scikit-learn's, a share of them larger."""
    from sklearn.datasets import load_iris

    random, data = np.random.default_rng(seed), load_iris()
    chosen = random.integers(0, len(data.target), count)
    numbers = data.data[chosen] + random.normal(0, 0.05, (count, 4))
    numbers[random.random(count) < larger] *= LARGER
    return Flowers(np.round(numbers, 1).astype(np.float32), data.target[chosen])


def named(home: Home, flowers: Flowers) -> None:
    """Writes what people measured and named."""
    lines = [",".join((*iris.COLUMNS, iris.LABEL))]
    lines += [
        ",".join((*map(str, numbers), iris.CLASSES[species]))
        for numbers, species in zip(flowers.numbers.tolist(), flowers.species, strict=True)
    ]
    file = iris.labelled_file(home)
    file.parent.mkdir()
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def answered(
    home: Home,
    version: str,
    flowers: Flowers,
    *,
    until: datetime,
    name: str,
    place: Environment = Environment.STAGING,
    shadow_of: str | None = None,
) -> list[NewPrediction]:
    """Returns what a version answers, as the gateway records it, over the half hour before `until`."""
    bundle = bundle_of(home, MODEL, version)
    told = OnnxFunction(bundle.model.read_bytes())({iris.INPUT: flowers.numbers})
    return [
        NewPrediction.checked(
            request_id=f"{name}-{at}",
            created_at=until - timedelta(minutes=30) * (1 - at / len(flowers.numbers)) - timedelta(seconds=1),
            environment=place,
            model_name=MODEL,
            model_version=version,
            schema_digest=bundle.contract.schema_digest,
            numeric=tuple(flowers.numbers[at].tolist()),
            text_statistics={},
            probability=float(told["probabilities"][at].max()),
            threshold=None,
            label=iris.CLASSES[int(told["label"][at])],
            latency_seconds=0.001,
            shadow_of=None if shadow_of is None else f"{shadow_of}-{at}",
        )
        for at in range(len(flowers.numbers))
    ]


async def record(records: Records, rows: list[NewPrediction]) -> None:
    """Writes predictions."""
    async with records.transaction() as session:
        await predictions.insert_many(session, rows, recorded_at=datetime.now(UTC))


@asynccontextmanager
async def machine(finished: Finished, folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    """Yields a monitoring process on a copy of the machine on which version 1 was trained."""
    home = Home(folder / "home")
    shutil.copytree(finished.home, home.root)
    patch.delenv(TRACKING_URI, raising=False)
    for name, value in environment(home.root, TRAINING_RAY_CPUS="1", TRAINING_SEARCH_FOLDS="0").items():
        patch.setenv(name, value)
    records = connect(home.records)
    settings = MonitoringSettings.load(
        drift_deals=700,
        report_when="never",
        quiet_runs=1,
        retraining="local",
        retraining_arguments=("--trials", "1"),
        hook_secrets=(SecretStr(SECRET),),
        egress_allowed=("127.0.0.1/32",),
    )
    try:
        yield Parts(settings, home, records, Measures())
    finally:
        await records.close()


def telling(parts: Parts, address: str, **changed: Any) -> Parts:
    """Returns the same process with a channel that tells its own receiver."""
    channel = {"name": "loop", "format": "webhook", "url": f"{address}{HOOK_DRIFT}", "secret": SECRET}
    known = parts.settings.model_dump() | {"channels": (channel,)} | changed
    return Parts(MonitoringSettings.load(**known), parts.home, parts.records, parts.measures)


async def drifted(parts: Parts, now: datetime) -> list[str]:
    """Returns the families in which the drift job finds a drift, of the one version that answers."""
    outcome = await job.run(
        parts.records, parts.home, parts.settings, environment=Environment.STAGING, now=now
    )
    assert outcome.unmeasured == ()
    (result,) = outcome.results
    return [family.family for family in result.drifted]


async def ended(parts: Parts) -> ExperimentRun:
    """Looks after the run that the loop started, as the clock does, and returns it when it has ended."""
    for _ in range(1200):
        await follow(parts)
        async with parts.records.reading() as session:
            latest, *_ = await runs.recent(session, workload=MODEL)
        if latest.status != RunStatus.RUNNING:
            break
        await asyncio.sleep(0.5)
    return latest


async def staged(parts: Parts) -> str:
    """Returns the version that staging serves, by the ledger and the alias alike."""
    async with parts.records.reading() as session:
        moves = await deployments.serving(session, model_name=MODEL)
    (version,) = [move.to_version for move in moves if move.environment == Environment.STAGING]
    pointed = opened(parts.home).pointed(MODEL, Environment.STAGING)
    assert pointed is not None
    assert pointed.version == version
    return version


async def test_a_drift_that_people_have_labels_for_retrains_and_is_gone(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From quiet traffic to a shift, an alert, a signed webhook, a run, a new version, and quiet again."""
    start = datetime.now(UTC) - 5 * HOUR
    async with machine(finished, tmp_path, monkeypatch) as quiet, served(quiet) as address:
        parts = telling(quiet, address)
        home, records = parts.home, parts.records
        assert await staged(parts) == "1"

        # The world as it was: nothing is told, and nothing is trained.
        old = grown(300, larger=0, seed=1)
        await record(records, answered(home, "1", old, until=start + HOUR, name="old"))
        assert await drifted(parts, start + HOUR) == []
        assert (await send_due(records, parts.settings, now=datetime.now(UTC))).delivered == 0

        # The world changes, and people name some of what is new.
        named(home, grown(450, larger=MIX, seed=2))
        new = grown(400, larger=MIX, seed=3)
        await record(records, answered(home, "1", new, until=start + 2 * HOUR, name="new"))
        assert "numbers" in await drifted(parts, start + 2 * HOUR)
        async with records.reading() as session:
            opened_alerts = await alerts.listed(session)
        assert opened_alerts

        # Every alert is signed and posted; one of them starts the one run.
        sent = await send_due(records, parts.settings, now=datetime.now(UTC))
        assert sent.delivered == len(opened_alerts)
        run = await ended(parts)
        assert (run.trigger, run.status, run.model_version) == ("drift", "accepted", "2"), run.reasons
        assert "data drift of" in (run.trigger_reason or "")
        async with records.reading() as session:
            assert len(await runs.recent(session, workload=MODEL)) == 2
            history = [
                entry["action"]
                for alert in await alerts.listed(session)
                for entry in alert.history
                if entry["actor"] == "the loop"
            ]
        assert history.count("retraining started") == history.count("retraining ended") == 1
        assert await staged(parts) == "2"

        # The new kind of traffic against the new reference is quiet, and the alerts end by themselves.
        again = grown(400, larger=MIX, seed=4)
        await record(records, answered(home, "2", again, until=start + 4 * HOUR, name="again"))
        assert await drifted(parts, start + 4 * HOUR) == []
        async with records.reading() as session:
            assert await alerts.listed(session) == []
        assert (await send_due(records, parts.settings, now=datetime.now(UTC))).delivered == len(
            opened_alerts
        )
        async with records.reading() as session:
            assert len(await runs.recent(session, workload=MODEL)) == 2

        await _by_itself_to_production(parts, run)


async def _by_itself_to_production(parts: Parts, run: ExperimentRun) -> None:
    """What the loop trained stays in staging until it is set otherwise and the stricter gate lets it go."""
    home, records, now = parts.home, parts.records, datetime.now(UTC)
    opened(home).point(MODEL, Environment.PRODUCTION, "1")
    async with records.transaction() as session:
        await deployments.append(
            session,
            NewDeployment(
                model_name=MODEL,
                environment=Environment.PRODUCTION,
                action=Action.PROMOTE,
                from_version=None,
                to_version="1",
                actor="a person",
                reason="the first one",
                gate={},
                created_at=now - 5 * HOUR,
            ),
        )
    assert await promote_ready(parts) == []

    # Both versions were asked about the flowers on which they agree, after version 2 came to staging.
    later = now + HOUR
    old = grown(150, larger=0, seed=5)
    asked = answered(home, "1", old, until=later, name="asked", place=Environment.PRODUCTION)
    copies = answered(home, "2", old, until=later, name="copy", shadow_of="asked")
    await record(records, [*asked, *copies])
    own = answered(home, "2", grown(400, larger=MIX, seed=6), until=later, name="own")
    await record(records, own)
    assert await drifted(parts, later) == []
    willing = {"auto_promote": True, "auto_promote_shadow": "30m", "auto_promote_disagreement": 0.1}
    reluctant = telling(parts, "http://127.0.0.1:9", **willing)  # a thousand answers are asked for
    assert await promote_ready(reluctant, later) == []
    assert (await _verdict(records, run))["broken"] == ["answers in staging"]
    ready = telling(parts, "http://127.0.0.1:9", **willing, auto_promote_rows=500)
    assert await promote_ready(ready, later) == [f"{MODEL} 2"], await _verdict(records, run)
    assert (await _verdict(records, run))["verdict"] == "promoted"
    pointed = opened(home).pointed(MODEL, Environment.PRODUCTION)
    assert pointed is not None
    assert pointed.version == "2"
    async with records.reading() as session:
        latest, *_ = await deployments.history(session, model_name=MODEL, environment=Environment.PRODUCTION)
    assert (latest.from_version, latest.to_version) == ("1", "2")
    assert latest.reason.startswith("Promoted by the loop")
    assert await promote_ready(ready, later) == []


async def _verdict(records: Records, run: ExperimentRun) -> Any:
    async with records.reading() as session:
        found = await runs.by_id(session, run.id)
    assert found is not None
    return found.parameters[VERDICT]
