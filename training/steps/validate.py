"""Validate: the workload judges its source before anything is made of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from kit.files import write_text
from training import workloads
from training.steps.step import Context, Figures, Step

CHECKS: Final = "checks.json"
"""One sentence for each check that passed."""


class Validate(Step):
    """Refuses data that is not fit to train on."""

    name: ClassVar[str] = "validate"

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:  # noqa: ARG002
        """Writes checks.json; raises `Refused` with the reasons."""
        validate = workloads.find(self.workload).validate
        checks = list(validate(context.home)) if validate else []
        write_text(output / CHECKS, json.dumps(checks, ensure_ascii=False, indent=1) + "\n")
        return {"checks passed": len(checks)}
