"""What a step is: a frozen, validated configuration with one `run`."""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict

from kit.home import Home

Figures = dict[str, Any]
"""What a step found, by name, for a person: a few numbers and short words."""

ORDER: Final = (
    "load",
    "validate",
    "features",
    "search",
    "fit",
    "evaluate",
    "export",
    "register",
    "gate",
    "stage",
)
"""The names of the steps, as users type them."""


@dataclass(frozen=True)
class Context:
    """What is the same for every step of a run and has no say in what a step writes."""

    home: Home
    run: str
    """The id of the pipeline run."""
    tell: Callable[[str], None] = lambda _sentence: None
    """Shows a person how far a step is."""
    logs: Path | None = None
    """Where libraries may leave logs worth keeping; None for a folder that goes with the process."""

    def scratch(self, step: str) -> Path:
        """Returns a folder for what libraries say and need while they work."""
        if self.logs is None:
            return Path(tempfile.mkdtemp(prefix=f"sluice-{step}-"))
        folder = self.logs / step
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class Step(BaseModel, ABC):
    """One step; its fields are everything, beside its inputs, that decides what it writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    on_ray: ClassVar[bool] = False
    """It opens a Ray, and is glad of one that runs already."""
    reusable: ClassVar[bool] = True
    """Equal fields and inputs make an equal output, so that a former one may be taken instead."""

    workload: str
    """The name of the workload."""

    @abstractmethod
    def run(self, inputs: Mapping[str, Path], output: Path, context: Context) -> Figures:
        """Writes the step's files into the empty folder `output` and returns its key figures.

        `inputs` are the output folders of earlier steps, by step name.
        """
