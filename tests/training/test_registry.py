"""The registry on a real MLflow: runs, versions, standings, aliases; nothing unjudged ever serves."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contracts.environments import Environment
from kit.home import Home
from records.model_registry import TRACKING_URI
from records.model_versions import NotEligible, RegistryUnavailable, RunState, Standing, VersionMissing
from training import registry
from training.registry import Registry

pytestmark = [
    pytest.mark.xdist_group("mlflow"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of its own, whose MLflow is SQLite and files."""
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def tracking(home: Home) -> Iterator[Registry]:
    """The registry of that home."""
    former = os.environ.pop(TRACKING_URI, None)
    yield registry.opened(home)
    if former is not None:
        os.environ[TRACKING_URI] = former


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with files in it, one of them a level down."""
    folder = tmp_path / "bundle"
    (folder / "native").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"graph" * 1000)
    (folder / "native" / "model.ubj").write_bytes(b"trees")
    return folder


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield int(listening.getsockname()[1])


@pytest.fixture
def mlflow_server(tmp_path: Path, empty_registry: Path, unused_port: int) -> Iterator[str]:
    """A real MLflow server in a process of its own, as `sluice up` starts it, with artifacts behind it."""
    shutil.copy(empty_registry, tmp_path / "server.db")
    address = f"http://127.0.0.1:{unused_port}"
    command = (
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(unused_port),
        "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination", str(tmp_path / "server-artifacts"),
    )  # fmt: skip
    # Without its workers for jobs of its own, which take as long to start as all the rest.
    variables = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, **variables},
            start_new_session=True,
        )
        try:
            for _ in range(600):
                assert server.poll() is None, (tmp_path / "server.log").read_text()
                try:
                    if httpx.get(f"{address}/health", timeout=5).is_success:
                        break
                except httpx.HTTPError:
                    time.sleep(0.2)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def registered(tracking: Registry, name: str, bundle: Path, *, digest: str = "d" * 64) -> str:
    """Registers `bundle` in a run of its own and returns the version."""
    run_id = tracking.begin_run(name, "a run", run=f"{name}-{digest[:4]}")
    return tracking.register(name, bundle, digest=digest, run_id=run_id).version


def test_state_lies_under_the_home(tracking: Registry, home: Home, bundle: Path) -> None:
    """SQLite and files: deleting the folder resets the machine."""
    registered(tracking, "lies-under", bundle)
    assert (home.root / "mlflow.db").is_file()
    stored = list((home.root / "mlartifacts" / "lies-under").rglob("model.onnx"))
    assert [path.read_bytes() for path in stored] == [b"graph" * 1000]


def test_nothing_is_reported_to_the_makers(tracking: Registry) -> None:
    """MLflow's telemetry is off before it is imported."""
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert is_telemetry_disabled()


def test_a_run_is_found_again_by_the_pipeline_run(tracking: Registry) -> None:
    """Every step of one run logs to the same place, whichever process it is."""
    first = tracking.begin_run("again", "a run", run="r1")
    assert tracking.begin_run("again", "a run", run="r1") == first
    assert tracking.begin_run("again", "another", run="r2") != first


def test_trials_are_nested_under_their_run(tracking: Registry) -> None:
    """Parameters, metrics and the way each trial ended are kept."""
    parent = tracking.begin_run("nested", "a run", run="r1")
    tracking.log_trial(parent, "trial 0", parameters={"depth": 3, "ngrams": (1, 2)}, metrics={"f1": 0.9})
    tracking.log_trial(parent, "trial 1", parameters={"depth": 4}, metrics={}, state=RunState.FAILED)
    first, second = tracking.trials(parent)
    assert first == {
        "name": "trial 0",
        "parameters": {"depth": "3", "ngrams": "[1, 2]"},
        "metrics": {"f1": 0.9},
        "state": "FINISHED",
    }
    assert second["state"] == "FAILED"


def test_more_figures_than_one_request_takes_are_all_kept(tracking: Registry) -> None:
    """MLflow takes a hundred parameters at a time."""
    run_id = tracking.begin_run("many", "a run", run="r1")
    tracking.log(
        run_id, parameters={f"p{n}": n for n in range(250)}, metrics={f"m{n}": n for n in range(1500)}
    )
    assert len(tracking.run_figures(run_id)) == 1500


def test_a_new_version_is_judged_by_nobody_and_serves_nowhere(tracking: Registry, bundle: Path) -> None:
    """What a crash between registration and gate leaves can never get an alias."""
    version = registered(tracking, "unjudged", bundle)
    assert tracking.version("unjudged", version).standing is Standing.PENDING
    with pytest.raises(NotEligible, match="was never judged"):
        tracking.point("unjudged", Environment.STAGING, version)
    assert tracking.pointed("unjudged", Environment.STAGING) is None


def test_a_refused_version_keeps_its_reasons_and_gets_no_alias(tracking: Registry, bundle: Path) -> None:
    """It is registered all the same, so that nobody tries the same thing again without knowing."""
    version = registered(tracking, "refused", bundle)
    judged = tracking.judge("refused", version, accepted=False, reasons=["F1 is too low.", "Too slow."])
    assert (judged.standing, judged.reasons) == (Standing.REFUSED, ("F1 is too low.", "Too slow."))
    with pytest.raises(NotEligible) as refusal:
        tracking.point("refused", Environment.PRODUCTION, version)
    assert refusal.value.reasons == ("F1 is too low.", "Too slow.")
    assert tracking.version("refused", version).aliases == ()


def test_a_refusal_is_for_good(tracking: Registry, bundle: Path) -> None:
    """A version is immutable, and so is what was found about it."""
    version = registered(tracking, "for-good", bundle)
    tracking.judge("for-good", version, accepted=False, reasons=["No."])
    with pytest.raises(NotEligible, match="was refused before"):
        tracking.judge("for-good", version, accepted=True, reasons=["Yes."])


def test_an_accepted_version_gets_an_alias_and_the_former_one_is_told(
    tracking: Registry, bundle: Path
) -> None:
    """The move returns where the environment pointed before."""
    first = registered(tracking, "accepted", bundle, digest="1" * 64)
    second = registered(tracking, "accepted", bundle, digest="2" * 64)
    for version in (first, second):
        tracking.judge("accepted", version, accepted=True, reasons=["Good."])
    assert tracking.point("accepted", Environment.STAGING, first) is None
    assert tracking.point("accepted", Environment.STAGING, second) == first
    pointed = tracking.pointed("accepted", Environment.STAGING)
    assert pointed is not None
    assert (pointed.version, pointed.aliases) == (second, ("staging",))
    assert [(each.version, each.aliases) for each in tracking.versions("accepted")] == [
        (second, ("staging",)),
        (first, ()),
    ]


def test_registering_twice_in_one_run_makes_one_version(tracking: Registry, bundle: Path) -> None:
    """A step that is tried again does not leave a second version."""
    assert registered(tracking, "twice", bundle) == registered(tracking, "twice", bundle)
    assert len(tracking.versions("twice")) == 1


def test_a_bundle_comes_back_as_it_went(tracking: Registry, bundle: Path, tmp_path: Path) -> None:
    """Every file with every byte, in its folder."""
    version = registered(tracking, "comes-back", bundle)
    fetched = tracking.download("comes-back", version, tmp_path / "fetched")
    found = {
        str(path.relative_to(fetched)): path.read_bytes() for path in fetched.rglob("*") if path.is_file()
    }
    assert found == {"model.onnx": b"graph" * 1000, "native/model.ubj": b"trees"}


def test_an_unknown_version_is_said_to_be_unknown(tracking: Registry) -> None:
    """Neither an empty answer nor MLflow's own words."""
    with pytest.raises(VersionMissing, match="version 7 of nothing"):
        tracking.version("nothing", "7")
    assert tracking.versions("nothing") == []
    assert tracking.pointed("nothing", Environment.PRODUCTION) is None


def test_a_registry_that_is_not_there_is_noticed_at_once(home: Home, unused_port: int) -> None:
    """One sentence with the address and what to do, and no minutes of retries."""
    with pytest.raises(RegistryUnavailable, match=f"127.0.0.1:{unused_port}") as failure:
        registry.opened(home, timeout_seconds=2, uri=f"http://127.0.0.1:{unused_port}")
    assert failure.value.next_step is not None
    assert TRACKING_URI in failure.value.next_step


def test_a_registry_that_never_answers_is_given_up(home: Home, silent_port: int) -> None:
    """It takes the connection, and then says nothing."""
    with pytest.raises(RegistryUnavailable):
        registry.opened(home, timeout_seconds=1, uri=f"http://127.0.0.1:{silent_port}")


def test_a_damaged_database_is_our_error_and_not_a_stack(tmp_path: Path) -> None:
    """The file is no SQLite database."""
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 100)
    with pytest.raises(RegistryUnavailable):
        registry.opened(Home(tmp_path), uri=f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_a_real_server_does_the_same(mlflow_server: str, tmp_path: Path, bundle: Path) -> None:
    """Over HTTP, with the artifacts behind the server: register, judge, point, fetch."""
    remote = registry.opened(Home(tmp_path / "elsewhere"), timeout_seconds=60, uri=mlflow_server)
    version = registered(remote, "remote", bundle)
    with pytest.raises(NotEligible):
        remote.point("remote", Environment.STAGING, version)
    remote.judge("remote", version, accepted=True, reasons=["Good."])
    remote.point("remote", Environment.STAGING, version)
    assert remote.versions("remote")[0].aliases == ("staging",)
    fetched = remote.download("remote", version, tmp_path / "fetched")
    assert (fetched / "native" / "model.ubj").read_bytes() == b"trees"
    assert not (tmp_path / "elsewhere").exists()
    assert remote.run_link(remote.version("remote", version).run_id).startswith(mlflow_server)
