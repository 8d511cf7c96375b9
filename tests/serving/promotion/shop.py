"""A registry with versions to promote, and a deployer on paper whose every step can be made to fail."""
# ruff: noqa: ARG002, D102 - the methods are those of the protocol, which describes them

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from contracts.environments import Environment
from contracts.predictions import FILE, FOLDER
from kit.bundle import Bundle
from kit.home import Home
from records.model_registry import ModelRegistry
from serving.deployers.deployer import ServingUnreachable
from training.evaluation import predictions
from training.evaluation.predictions import Predictions
from training.registry import Registry, opened

IRIS = "iris"
ROWS = 30


def made_home(root: Path, bundles: Sequence[Bundle], empty_registry: Path) -> Home:
    """Returns a home whose registry holds `bundles` as eligible versions 1, 2, … and one more, refused."""
    home = copied(empty_registry.parent, root)
    tracking = opened(home)
    for number, bundle in enumerate(bundles, start=1):
        version = registered(tracking, bundle, root / f"evaluation-{number}", run=f"run-{number}")
        tracking.judge(version.name, version.version, accepted=True, reasons=[f"Good, number {number}."])
    version = registered(tracking, bundles[0], None, run="run-refused")
    tracking.judge(version.name, version.version, accepted=False, reasons=["Its F1 is too low."])
    return home


def registered(tracking: Registry, bundle: Bundle, evaluation: Path | None, *, run: str):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Returns the version of `bundle`, whose run keeps answers on a test split if `evaluation` is given."""
    name = bundle.contract.workload
    run_id = tracking.begin_run(name, run, run=run)
    if evaluation is not None:
        evaluation.mkdir(parents=True)
        predictions.write(answers(bundle), evaluation / FILE)
        tracking.log_files(run_id, evaluation, FOLDER)
    return tracking.register(name, bundle.folder, digest=bundle.digest, run_id=run_id)


def answers(bundle: Bundle) -> Predictions:
    """Returns made-up answers of a bundle on a test split: the same rows for each, other scores by seed."""
    classes = len(bundle.contract.classes)
    random = np.random.default_rng(bundle.contract.lineage.split_seed)
    drawn = random.random((ROWS, classes))
    return Predictions(
        ids=np.array([f"row-{at}" for at in range(ROWS)]),
        groups=np.array([f"row-{at}" for at in range(ROWS)]),
        labels=np.arange(ROWS) % classes,
        probabilities=drawn / drawn.sum(axis=1, keepdims=True),
        threshold=bundle.contract.threshold,
    )


def copied(template: Path, root: Path) -> Home:
    """Returns a home of its own with the registry of `template`."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(template / "mlflow.db", root / "mlflow.db")
    return Home(root)


@dataclass
class PaperDeployer:
    """A deployer that keeps in one file what a real one has in processes; `fail` breaks a step."""

    file: Path
    serves: bool = True
    fail: dict[str, Exception] = field(default_factory=dict)
    after: dict[str, Callable[[], None]] = field(default_factory=dict)
    """Called when a step is done."""
    calls: list[str] = field(default_factory=list)
    place: str = "on paper"

    def reachable(self) -> None:
        self._step("reachable")

    def running(self, environment: Environment) -> bool:
        return self.serves

    def current(self, model: str, environment: Environment) -> str | None:
        current = self._read()["current"]
        return None if current is None else str(current)

    def loaded(self, model: str, environment: Environment) -> frozenset[str]:
        return frozenset(self._read()["loaded"])

    def prepare(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        self._step("prepare", loaded={*self._read()["loaded"], version})

    def verify(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        assert version in self.loaded(model, environment)
        self._step("verify")

    def switch(self, model: str, environment: Environment, version: str, bundle: Bundle) -> None:
        assert version in self.loaded(model, environment)
        self._step(f"switch {version}", current=version)

    def retire(self, model: str, environment: Environment, version: str) -> None:
        assert version != self.current(model, environment)
        self._step("retire", loaded={*self._read()["loaded"]} - {version})

    def abandon(self, model: str, environment: Environment, version: str) -> None:
        assert version != self.current(model, environment)
        self._step("abandon", loaded={*self._read()["loaded"]} - {version})

    def _step(self, name: str, **changes: object) -> None:
        if name in self.fail:
            raise self.fail[name]
        self.calls.append(name)
        state = self._read() | changes
        self.file.write_text(json.dumps(state | {"loaded": sorted(state["loaded"])}))
        self.after.get(name, lambda: None)()

    def _read(self) -> dict:  # type: ignore[type-arg]
        if not self.file.exists():
            return {"current": None, "loaded": []}
        found: dict = json.loads(self.file.read_text())  # type: ignore[type-arg]
        return found


DOWN = ServingUnreachable("The place does not answer.", next_step="Start it.")


def pointed(registry: ModelRegistry, environment: Environment = Environment.STAGING) -> str | None:
    """Returns the version that the alias of iris points at."""
    found = registry.pointed(IRIS, environment)
    return found.version if found else None
