"""Homes with a real registry, and processes that are ended whatever a test does."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.environments import Environment
from kit.bundle import Bundle
from kit.home import Home
from records.model_registry import TRACKING_URI
from serving.local.stack import Stack
from serving.settings import ServingSettings
from training import registry

PREFIXES = (
    "SLUICE_",
    "SERVING_",
    "GATEWAY_",
    "RECORDS_",
    "TRANSFORMER_",
    "FEATURE_REPO_",
    "MLFLOW_",
    "DEPLOYMENT_",
    "MONITORING_",
)

Aliases = dict[Environment, str]


@pytest.fixture(scope="session")
def plain_settings() -> Iterator[None]:
    """A process with the defaults, with Triton and transformers only, and with no pause before an unload."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(PREFIXES):
                patch.delenv(name)
        patch.setenv("SERVING_MLFLOW_PAGES", "false")
        patch.setenv("SERVING_GATEWAY", "false")
        patch.setenv("SERVING_MONITORING", "false")
        patch.setenv("SERVING_DRAIN_SECONDS", "0")
        patch.setenv("SERVING_INSTANCES", "1")
        for limit in ("SWITCH", "PROGRAM_START", "TRITON_START"):
            patch.setenv(f"SERVING_{limit}_SECONDS", "300")
        yield


def register(home: Home, bundles: list[Bundle], aliases: Aliases) -> None:
    """Registers `bundles` as versions 1, 2, … of their model, all eligible, and points the aliases."""
    assert TRACKING_URI not in os.environ
    tracking = registry.opened(home)
    name = bundles[0].contract.workload
    for bundle in bundles:
        run_id = tracking.begin_run(name, "a run", run=f"{name}-{bundle.digest[:8]}")
        made = tracking.register(name, bundle.folder, digest=bundle.digest, run_id=run_id)
        tracking.judge(name, made.version, accepted=True, reasons=["It is a test."])
    for environment, version in aliases.items():
        tracking.point(name, environment, version)


@pytest.fixture(scope="module")
def homes(
    tmp_path_factory: pytest.TempPathFactory, plain_settings: None, empty_registry: Path
) -> Iterator[Callable[[], Home]]:
    """Makes homes whose registry holds nothing; whatever runs for them is ended at the end."""
    made = []

    def make() -> Home:
        made.append(Home(tmp_path_factory.mktemp("home")))
        shutil.copy(empty_registry, made[-1].root)
        return made[-1]

    yield make
    for home in made:
        Stack(home, ServingSettings.load()).stop()


@pytest.fixture
def folder(tmp_path: Path, plain_settings: None) -> Path:
    """An empty folder for a supervisor."""
    path = tmp_path / "serving"
    path.mkdir()
    return path
