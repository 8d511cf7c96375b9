"""Stage: the accepted version becomes the one that staging serves and points at.

It is here, above training and serving, because it is a promotion like any other: where staging runs, requests
move to the version; where it does not, the ledger and the alias do.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from contracts.environments import Environment
from kit.files import write_text
from serving.promotion import promotion, tools
from serving.promotion.promotion import Request
from training.steps import gate, register
from training.steps.step import Context, Figures, Step

STAGED: Final = "staged.json"
_WAIT_SECONDS: Final = 300
"""For a person's move of staging that is under way."""


class Stage(Step):
    """Promotes the version to staging; nobody is asked, the gate has spoken."""

    name: ClassVar[str] = "stage"
    reusable: ClassVar[bool] = False

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes staged.json; raises `NotEligible` if the gate did not accept it, or as `promote`."""
        request = Request(
            actor="pipeline",
            reason=f"Accepted by the gate in run {context.run}.",
            gate=json.loads((inputs["gate"] / gate.DECISION).read_text(encoding="utf-8")),
            told=lambda move, done: None if done else context.tell(f"{move.step} version {move.version}"),
            wait_seconds=_WAIT_SECONDS,
        )
        version = register.read(inputs["register"])
        outcome = promotion.promote(
            tools.opened(context.home), self.workload, Environment.STAGING, version, request
        )
        told = {
            "environment": Environment.STAGING.value,
            "version": version,
            "before": outcome.former,
            "live": outcome.live,
        }
        write_text(output / STAGED, json.dumps(told, indent=1) + "\n")
        serves = {"serves": "now"} if outcome.live else {"serves": "at the next sluice up"}
        return {"staging": version, **({"before": outcome.former} if outcome.former else {}), **serves}
