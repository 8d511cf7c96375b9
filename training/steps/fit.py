"""Fit: the final model on the best parameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from kit.files import write_text
from training import snapshot, workloads
from training.fit import FitPlan, fit
from training.search import read_result
from training.settings import TrainingSettings
from training.steps.features import ROWS
from training.steps.search import RESULT
from training.steps.step import Context, Figures, Step

MODEL: Final = "model"
"""Featuriser and estimator, as the workload's estimator saves them."""
SEARCH: Final = "search.json"
"""The search whose best parameters were fitted, for the steps that need the parameters."""


class Fit(Step):
    """Fits the featuriser and the estimator on the training rows of the run's split."""

    name: ClassVar[str] = "fit"
    on_ray: ClassVar[bool] = True

    seed: int
    workers: int = 1

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes the model folder, and search.json as it came."""
        workload = workloads.find(self.workload)
        dataset = snapshot.read(inputs["features"] / ROWS)
        found = read_result(inputs["search"] / RESULT, workload)
        featuriser, fitted = fit(
            workload,
            dataset,
            dataset.split(self.seed),
            FitPlan(found.parameters, seed=self.seed, workers=self.workers),
            storage=context.scratch(self.name),
            settings=TrainingSettings.load(),
        )
        (output / MODEL).mkdir()
        workload.estimator.save(output / MODEL, featuriser, fitted)
        write_text(output / SEARCH, (inputs["search"] / RESULT).read_text(encoding="utf-8"))
        return {"rounds": fitted.rounds, "features": len(featuriser.feature_names)}
