"""Features: from the data on this machine to the rows that every later step works on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from kit.files import write_text
from training import snapshot, workloads
from training.data_quality import require_fit
from training.steps.step import Context, Figures, Step
from training.steps.validate import CHECKS

ROWS: Final = "rows"
"""The snapshot of the data set."""


class Features(Step):
    """Makes features, point in time where there is history, and judges the rows that came of it."""

    name: ClassVar[str] = "features"

    seed: int
    """Of the run's own split."""
    evaluation_seeds: tuple[int, ...]
    """Of the splits whose mean is the figure of record."""

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes the snapshot, and checks.json with all checks so far; raises `DataUnfit`."""
        workload = workloads.find(self.workload)
        if workload.materialize:
            context.tell("feature stores")
            workload.materialize(context.home)
        context.tell("rows")
        dataset = workload.load(context.home)
        seeds = sorted({self.seed, *self.evaluation_seeds})
        checks = json.loads((inputs["validate"] / CHECKS).read_text(encoding="utf-8"))
        checks += require_fit(dataset, workload.contract, seeds)
        context.tell("snapshot")
        snapshot.write(dataset, output / ROWS, seed=self.seed, seeds=seeds)
        write_text(output / CHECKS, json.dumps(checks, ensure_ascii=False, indent=1) + "\n")
        return {"rows": len(dataset.rows), "data": dataset.fingerprint.removeprefix("sha256:")}
