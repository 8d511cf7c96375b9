"""The gate step against the model in production, on the same test rows: real bundles, MLflow on SQLite.

Every step of the iris workload but the search and Ray's fit is the real one. The worse model learnt from
wrong labels. Its recipe is as good as the other's, so that production is the only thing it loses against.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.environments import Environment
from kit import bundle
from kit.home import Home
from records.model_versions import Standing
from training import registry, workloads
from training.bundle import write as written
from training.registry import Registry
from training.search import write_result
from training.steps import fit
from training.steps.evaluate import Evaluate
from training.steps.export import Export
from training.steps.features import Features
from training.steps.fit import MODEL, SEARCH
from training.steps.gate import DECISION, Gate, VersionRefused
from training.steps.load import Load
from training.steps.register import Register, read
from training.steps.step import Context, Step
from training.steps.validate import Validate
from training.trials import SearchResult, Trial, TrialStatus

pytestmark = [
    pytest.mark.xdist_group("mlflow"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]

WORKLOAD = "iris"
SEED = 0
SEEDS = (1, 2)
"""Without the run's own seed: the floors judge the recipe, and production the model."""
RULE = "no loss against production"


class Runs:
    """The steps of several runs in one home, whose outputs are folders by name."""

    def __init__(self, root: Path, empty_registry: Path) -> None:
        self.root = root
        self.home = Home(root / "home")
        self.home.root.mkdir()
        shutil.copy(empty_registry, self.home.root)
        self.tracking: Registry = registry.opened(self.home)

    def step(self, step: Step, run: str, **inputs: Path) -> Path:
        """Runs `step` and returns its output folder."""
        output = self.root / run / step.name
        output.mkdir(parents=True)
        step.run(inputs, output, Context(self.home, run))
        return output

    def bundle(self, run: str, *, wrong: bool = False, seed: int = SEED) -> dict[str, Path]:
        """Returns the outputs of a run up to its bundle; a `wrong` one takes each flower for the next."""
        load = self.step(Load(workload=WORKLOAD), run)
        validate = self.step(Validate(workload=WORKLOAD), run, load=load)
        features = self.step(
            Features(workload=WORKLOAD, seed=seed, evaluation_seeds=SEEDS), run, validate=validate
        )
        fitted = self._fitted(run, wrong=wrong, seed=seed)
        evaluate = self.step(
            Evaluate(workload=WORKLOAD, seed=seed, evaluation_seeds=SEEDS), run, features=features, fit=fitted
        )
        export = self.step(
            Export(workload=WORKLOAD, seed=seed), run, features=features, fit=fitted, evaluate=evaluate
        )
        return {"features": features, "fit": fitted, "evaluate": evaluate, "export": export}

    def judge(self, run: str, made: dict[str, Path]) -> str:
        """Registers the bundle in a run of its own and returns the version that the gate has accepted.

        Raises:
            VersionRefused: it has not.
        """
        register = self.step(
            Register(workload=WORKLOAD), run, **{name: made[name] for name in ("fit", "evaluate", "export")}
        )
        known = {name: made[name] for name in ("features", "evaluate", "export")}
        self.step(Gate(workload=WORKLOAD, seed=SEED), run, register=register, **known)
        return read(register)

    def decision(self, run: str) -> dict[str, Any]:
        """Returns the rules of a run's decision, by name, as (passed, sentence)."""
        found = json.loads((self.root / run / "gate" / DECISION).read_text(encoding="utf-8"))
        return {reason["rule"]: (reason["passed"], reason["sentence"]) for reason in found["reasons"]}

    def _fitted(self, run: str, *, wrong: bool, seed: int) -> Path:
        workload = workloads.find(WORKLOAD)
        dataset = workload.load(self.home)
        parameters = {**workload.defaults, "n_estimators": 20}
        train = dataset.rows.take(dataset.split(seed).train)
        featuriser = workload.estimator.fit_featuriser(parameters, train)
        labels = (train.labels + 1) % len(workload.contract.classes) if wrong else train.labels
        model = workload.estimator.fit(
            parameters, featuriser.matrix(train.inputs), np.asarray(labels), seed=seed
        )
        output = self.root / run / fit.Fit.name
        (output / MODEL).mkdir(parents=True)
        workload.estimator.save(output / MODEL, featuriser, model)
        best = Trial(
            number=0,
            parameters=parameters,
            status=TrialStatus.FINISHED,
            value=0.95,
            rounds=None,
            seconds=1,
            finished_at="2026-01-01T00:00:00+00:00",
        )
        found = SearchResult(
            best=best, trials=(best,), objective="f1", maximised=True, seconds=1, resumed=0, featurisers=1
        )
        write_result(found, output / SEARCH)
        return output


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Iterator[Runs]:
    """A home in which a good model is in production."""
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith(("TRAINING_", "MLFLOW_TRACKING"))]:
            patched.delenv(name)
        patched.setenv("TRAINING_BOOTSTRAP_RESAMPLES", "200")
        # The floor on the run's own seed has tests of its own; here production decides.
        patched.setenv("TRAINING_GATE_SEED_MARGIN", "0.9")
        # How fast a row is answered depends on what else this machine does.
        patched.setenv("TRAINING_GATE_MAX_ROW_SECONDS", "1")
        yield Runs(tmp_path_factory.mktemp("gate"), empty_registry)


@pytest.fixture(scope="module")
def good(runs: Runs) -> dict[str, Path]:
    """The bundle of a model that learnt from the right labels, in production as the first version."""
    made = runs.bundle("good", wrong=False)
    version = runs.judge("first", made)
    assert runs.decision("first")[RULE] == (True, "No model is in production, so nothing can be lost.")
    runs.tracking.point(WORKLOAD, Environment.PRODUCTION, version)
    return made


def test_a_candidate_that_is_significantly_worse_than_production_is_refused(
    runs: Runs, good: dict[str, Path]
) -> None:
    """That is its only fault; the version is registered with the reason, and production stays."""
    assert good
    before = runs.tracking.pointed(WORKLOAD, Environment.PRODUCTION)
    assert before is not None
    with pytest.raises(VersionRefused) as refused:
        runs.judge("worse", runs.bundle("bad", wrong=True))
    (reason,) = refused.value.reasons
    what = (
        f"production's version {before.version} on the same test rows, none of which it was fitted on, is -"
    )
    assert what in reason
    assert "a significant loss" in reason
    assert [rule for rule, (passed, _) in runs.decision("worse").items() if not passed] == [RULE]
    latest = runs.tracking.versions(WORKLOAD)[0]
    assert (latest.standing, latest.reasons) == (Standing.REFUSED, (reason,))
    assert runs.tracking.pointed(WORKLOAD, Environment.PRODUCTION) == before


def test_a_candidate_that_is_as_good_as_production_is_accepted(runs: Runs, good: dict[str, Path]) -> None:
    """Its difference is told, and it may be released."""
    version = runs.judge("equal", good)
    passed, sentence = runs.decision("equal")[RULE]
    assert passed
    assert "no significant loss" in sentence
    assert "+0.0000" in sentence
    assert runs.tracking.version(WORKLOAD, version).standing is Standing.ELIGIBLE


def test_production_of_another_seed_is_not_judged_on_what_it_learnt(
    runs: Runs, good: dict[str, Path]
) -> None:
    """Its training rows are known from its run; copies of them count as seen too."""
    assert good
    whole = workloads.find(WORKLOAD).load(runs.home)
    learnt = {whole.groups[row] for row in whole.split(SEED).train}
    test = whole.split(3).test
    seen = sum(whole.groups[row] in learnt for row in test)
    assert 0 < seen < len(test)
    made = runs.bundle("other-seed", seed=3)
    runs.judge("other", made)
    _, sentence = runs.decision("other")[RULE]
    assert f"the same test rows, {seen} of {len(test)} of which it was fitted on" in sentence


def test_a_candidate_with_other_inputs_than_production_is_refused_and_judged(
    runs: Runs, good: dict[str, Path], tmp_path: Path
) -> None:
    """The version does not stay without a verdict."""
    before = runs.tracking.pointed(WORKLOAD, Environment.PRODUCTION)
    assert before is not None
    former = bundle.load(good["export"] / "bundle")
    (taken,) = former.contract.inputs
    other = former.contract.model_copy(
        update={"inputs": (taken.model_copy(update={"name": "other"}),), "files": {}}
    )
    made = written(
        tmp_path / "other",
        other,
        model=former.model.read_bytes(),
        reference=former.reference(),
        parity=former.parity,
    )
    run_id = runs.tracking.begin_run(WORKLOAD, "inputs", run="inputs")
    serving = runs.tracking.register(WORKLOAD, made.folder, digest=made.digest, run_id=run_id)
    runs.tracking.judge(WORKLOAD, serving.version, accepted=True, reasons=["by hand"])
    runs.tracking.point(WORKLOAD, Environment.PRODUCTION, serving.version)
    try:
        with pytest.raises(VersionRefused) as refused:
            runs.judge("candidate", good)
    finally:
        runs.tracking.point(WORKLOAD, Environment.PRODUCTION, before.version)
    (reason,) = refused.value.reasons
    assert "takes other inputs" in reason
    latest = runs.tracking.versions(WORKLOAD)[0]
    assert (latest.standing, latest.reasons) == (Standing.REFUSED, (reason,))
