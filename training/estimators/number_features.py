"""Numbers as they are: the featuriser of a workload that has no text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from kit.files import write_text
from kit.onnx_function import OnnxFunction
from training.estimators.graph import FEATURES, numbers_graph
from training.workload import Matrix

_FACTS: Final = "features.json"


@dataclass(frozen=True)
class NumberFeatures:
    """One input FP32 [N, F], which is the feature matrix."""

    numbers: str
    """The name of the input."""
    feature_names: tuple[str, ...]

    @property
    def graph(self) -> OnnxFunction:
        """From the input to the features."""
        return OnnxFunction(numbers_graph(self.numbers, len(self.feature_names)).SerializeToString())

    def matrix(self, inputs: Mapping[str, NDArray[Any]]) -> Matrix:
        """Returns float32 [N, F], computed by ONNX Runtime on the exported graph."""
        return np.asarray(self.graph({self.numbers: inputs[self.numbers]})[FEATURES], dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Writes the names into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / _FACTS, json.dumps({"numbers": self.numbers, "names": self.feature_names}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Returns what `save` wrote."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        return cls(facts["numbers"], tuple(facts["names"]))
