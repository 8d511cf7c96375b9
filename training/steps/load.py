"""Load: the data is on this machine, fetched if it was not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from kit.files import write_text
from training import workloads
from training.steps.step import Context, Figures, Step

DATA: Final = "data.json"
"""What tells the data from other data."""


class Load(Step):
    """Brings the workload's data onto this machine; its output tells only which data it is."""

    name: ClassVar[str] = "load"
    reusable: ClassVar[bool] = False  # it is quick when the data is there, and it alone notices new data

    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:  # noqa: ARG002
        """Writes data.json."""
        fetch = workloads.find(self.workload).fetch
        told = dict(fetch(context.home)) if fetch else {"source": "comes with a library"}
        write_text(output / DATA, json.dumps(told, sort_keys=True, indent=1) + "\n")
        return {name: value for name, value in told.items() if isinstance(value, (str, int))}
