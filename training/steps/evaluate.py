"""Evaluate: how good the model is, and the recipe over several seeds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from contracts.predictions import FILE
from kit.files import write_text
from training import snapshot, workloads
from training.evaluation import predictions
from training.evaluation.evaluation import evaluate
from training.evaluation.results import Evaluation
from training.report import card
from training.search import read_result
from training.settings import TrainingSettings
from training.steps import fit
from training.steps.features import ROWS
from training.steps.step import Context, Figures, Step

EVALUATION: Final = "evaluation.json"
PREDICTIONS: Final = FILE
"""The model's answers on the test rows of the run's seed."""
TRAINED_ON: Final = "trained-on.json"
"""The ids of the rows that the model was fitted on: a later candidate is not compared with it on them."""
REPORT: Final = "report"
"""The model card and its plots."""


class Evaluate(Step):
    """Judges the fitted model on the test rows of the run, and its parameters on every seed of the record."""

    name: ClassVar[str] = "evaluate"

    seed: int
    evaluation_seeds: tuple[int, ...]

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes evaluation.json, predictions.parquet, trained-on.json and the report."""
        workload = workloads.find(self.workload)
        dataset = snapshot.read(inputs["features"] / ROWS)
        model = workload.estimator.load(inputs["fit"] / fit.MODEL)
        found = read_result(inputs["fit"] / fit.SEARCH, workload)
        judged = evaluate(
            workload,
            dataset,
            found.parameters,
            run_seed=self.seed,
            settings=TrainingSettings.load(evaluation_seeds=self.evaluation_seeds),
            model=model,
            on_step=lambda done, total, what: context.tell(f"{done} of {total}: {what}"),
        )
        write_text(output / EVALUATION, judged.evaluation.model_dump_json(indent=1) + "\n")
        predictions.write(judged.predictions, output / PREDICTIONS)
        learnt = dataset.rows.ids[dataset.split(self.seed).train]
        write_text(output / TRAINED_ON, json.dumps(learnt.tolist()))
        context.tell("model card")
        card.write(card.Card(judged.evaluation), output / REPORT)
        return key_figures(judged.evaluation)


def read(folder: Path) -> Evaluation:
    """Returns the evaluation in the output of this step."""
    return Evaluation.model_validate_json((folder / EVALUATION).read_text(encoding="utf-8"))


def trained_on(folder: Path) -> set[str]:
    """Returns the ids of the rows that the model in the output of this step was fitted on."""
    return set(json.loads((folder / TRAINED_ON).read_text(encoding="utf-8")))


def key_figures(evaluation: Evaluation) -> Figures:
    """Returns the means of record, rounded for a person, and the threshold."""
    means = {
        name: round(estimate.value, 4)
        for name, estimate in evaluation.record.means.items()
        if estimate.value is not None
    }
    if evaluation.threshold is not None:
        means["threshold"] = round(evaluation.threshold.value, 4)
    return means


def metrics(evaluation: Evaluation) -> dict[str, float]:
    """Returns every figure by a flat name: means of record, the run's test rows, and slices."""
    flat = {f"mean_{name}": found for name, found in evaluation.record.means.items()}
    flat |= {f"test_{name}": found for name, found in evaluation.figures.items()}
    for part in evaluation.slices:
        flat |= {f"slice_{part.name}_{name}": found for name, found in part.figures.items()}
    known: dict[str, float] = {name: found.value for name, found in flat.items() if found.value is not None}
    if evaluation.threshold is not None:
        known["threshold"] = evaluation.threshold.value
    return known
