"""Bundles fetched from a real registry: once, whole, and never a damaged one."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.bundle import Bundle, BundleDamaged, load
from kit.home import Home
from monitoring.drift.reference import bundle_of
from records import model_registry
from records.bundles import fetched
from records.model_registry import ModelRegistry
from records.model_versions import VersionMissing
from tests.serving.local.conftest import register
from training import registry as training_registry

pytestmark = [
    pytest.mark.xdist_group("up"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


@pytest.fixture(scope="module")
def home(homes: Callable[[], Home], flowers_1: Bundle) -> Home:
    """One version in the registry."""
    made = homes()
    register(made, [flowers_1], {})
    return made


@pytest.fixture(scope="module")
def tracking(home: Home) -> ModelRegistry:
    """The registry of that home."""
    return model_registry.opened(home)


def test_callers_at_once_get_one_verified_copy(
    tracking: ModelRegistry, home: Home, flowers_1: Bundle
) -> None:
    """Eight of them; nothing but the bundle and its lock lies there afterwards."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fetched(tracking, home, "iris", "1"), range(8)))
    assert {bundle.folder for bundle in found} == {home.bundles / "iris" / "1"}
    assert {bundle.digest for bundle in found} == {flowers_1.digest}
    assert sorted(path.name for path in (home.bundles / "iris").iterdir()) == [".1.lock", "1"]


def test_a_copy_is_not_fetched_again(tracking: ModelRegistry, home: Home) -> None:
    """The very same file."""
    before = fetched(tracking, home, "iris", "1").model.stat().st_ino
    assert fetched(tracking, home, "iris", "1").model.stat().st_ino == before


def test_a_damaged_copy_is_fetched_again(tracking: ModelRegistry, home: Home, flowers_1: Bundle) -> None:
    """A changed byte, a missing file, or one too many."""
    folder = fetched(tracking, home, "iris", "1").folder
    (folder / "model.onnx").write_bytes(b"changed")
    assert fetched(tracking, home, "iris", "1").model.read_bytes() == flowers_1.model.read_bytes()
    (folder / "parity.json").unlink()
    assert fetched(tracking, home, "iris", "1").digest == flowers_1.digest
    (folder / "more").write_text("x")
    assert fetched(tracking, home, "iris", "1").digest == flowers_1.digest
    assert not (folder / "more").exists()


def test_another_bundle_than_was_registered_is_refused(home: Home, flowers_2: Bundle) -> None:
    """The registry's digest decides; nothing is left that the next one would believe."""
    tracking = training_registry.opened(home)
    run_id = tracking.begin_run("other", "a run", run="wrong")
    tracking.register("other", flowers_2.folder, digest="0" * 64, run_id=run_id)
    with pytest.raises(BundleDamaged, match="not the one that was registered"):
        fetched(tracking, home, "other", "1")
    assert not (home.bundles / "other" / "1").exists()


def test_who_monitors_shares_the_copy_and_asks_the_registry_only_for_one_that_is_not_whole(
    tracking: ModelRegistry, home: Home, flowers_1: Bundle, tmp_path: Path
) -> None:
    """A whole copy needs no registry; a damaged one is fetched again, to where all others find it."""
    folder = fetched(tracking, home, "iris", "1").folder
    alone = Home(tmp_path / "alone")
    shutil.copytree(folder, alone.bundles / "iris" / "1")
    assert bundle_of(alone, "iris", "1").digest == flowers_1.digest
    (folder / "parity.json").unlink()
    assert bundle_of(home, "iris", "1").folder == folder
    assert load(folder).digest == flowers_1.digest


def test_an_unknown_version_is_told(tracking: ModelRegistry, home: Home) -> None:
    """As the registry tells it."""
    with pytest.raises(VersionMissing):
        fetched(tracking, home, "iris", "99")
