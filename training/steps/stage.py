"""Stage: the accepted version becomes the one that staging points at."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from contracts.environments import Environment
from kit.files import write_text
from training import registry, run_records
from training.settings import TrainingSettings
from training.steps import gate, register
from training.steps.step import Context, Figures, Step

STAGED: Final = "staged.json"


class Stage(Step):
    """Moves the alias, and appends the move to the ledger."""

    name: ClassVar[str] = "stage"
    reusable: ClassVar[bool] = False

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes staged.json; raises `NotEligible` if the gate did not accept the version."""
        settings = TrainingSettings.load()
        tracking = registry.opened(context.home, timeout_seconds=settings.registry_timeout_seconds)
        version = register.read(inputs["register"])
        before = tracking.point(self.workload, Environment.STAGING, version)
        if before != version:
            run_records.record_move(
                self.workload,
                Environment.STAGING,
                before=before,
                version=version,
                actor="pipeline",
                reason=f"Accepted by the gate in run {context.run}.",
                gate=json.loads((inputs["gate"] / gate.DECISION).read_text(encoding="utf-8")),
            )
        told = {"environment": Environment.STAGING.value, "version": version, "before": before}
        write_text(output / STAGED, json.dumps(told, indent=1) + "\n")
        return {"staging": version, **({"before": before} if before else {})}
