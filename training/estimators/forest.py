"""scikit-learn's random forest for any number of classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import joblib
import numpy as np

from kit.files import replaced
from training.estimators.errors import check_classes, check_rows
from training.estimators.graph import FEATURES, OPSET
from training.workload import Labels, Matrix, Parameters

_FILE: Final = "forest.joblib"
_PARAMETERS: Final = frozenset({"n_estimators", "max_depth", "min_samples_leaf", "max_features"})


@dataclass(frozen=True)
class Forest:
    """A fitted forest."""

    fitted: Any

    @property
    def rounds(self) -> int:
        """Trees."""
        return len(self.fitted.estimators_)

    def probabilities(self, matrix: Matrix) -> Matrix:
        """Returns float32 [N, K]."""
        return np.asarray(self.fitted.predict_proba(matrix), dtype=np.float32)

    def contributions(self, matrix: Matrix) -> Matrix | None:  # noqa: ARG002 - the seam's signature
        """Returns None: scikit-learn computes no contributions of single features."""
        return None

    def save_native(self, folder: Path) -> tuple[str, ...]:  # noqa: ARG002 - the seam's signature
        """Writes nothing: scikit-learn's own format is a pickle, which nobody should have to load."""
        return ()

    def save(self, folder: Path) -> None:
        """Writes the forest into `folder`, for the next step of the same pipeline."""
        with replaced(folder / _FILE) as part:
            joblib.dump(self.fitted, part)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Returns what `save` wrote."""
        return cls(joblib.load(folder / _FILE))

    def graph(self) -> Any:
        """Returns the ONNX graph from the features to `probabilities`.

        The converter divides the votes of each leaf by the number of trees and lets the graph add them up in
        float32: 100 trees were off by 7e-7. Here the graph adds up whole votes, which for pure leaves is
        exact, and divides once. Of two classes the converter counts votes for the second only, and ONNX
        Runtime takes those for the first to be 1 less them: here they are the trees less them.
        """
        from onnx import helper, numpy_helper

        node = helper.make_node
        model = self._converted()
        (ensemble,) = (node for node in model.graph.node if node.op_type == "TreeEnsembleClassifier")
        (weights,) = (item for item in ensemble.attribute if item.name == "class_weights")
        weights.floats[:] = [weight * self.rounds for weight in weights.floats]
        two = len(self.fitted.classes_) == 2  # noqa: PLR2004 - two is what binary means
        ensemble.output[1] = "counted" if two else "votes"
        model.graph.initializer.append(
            numpy_helper.from_array(np.array(self.rounds, dtype=np.float32), "trees")
        )
        if two:
            model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "second"))
            take = node("Gather", ["counted", "second"], ["for_second"], name="take", axis=1)
            rest = node("Sub", ["trees", "for_second"], ["for_first"], name="rest")
            join = node("Concat", ["for_first", "for_second"], ["votes"], name="join", axis=1)
            model.graph.node.extend((take, rest, join))
        model.graph.node.append(node("Div", ["votes", "trees"], ["probabilities"], name="divide"))
        return model

    def _converted(self) -> Any:
        """Returns skl2onnx' graph; zipmap is off, so it gives tensors."""
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType

        return convert_sklearn(
            self.fitted,
            initial_types=[(FEATURES, FloatTensorType([None, self.fitted.n_features_in_]))],
            options={id(self.fitted): {"zipmap": False}},
            target_opset={"": OPSET, "ai.onnx.ml": 1},
        )


def fit(parameters: Parameters, matrix: Matrix, labels: Labels, *, classes: int, seed: int) -> Forest:
    """Returns a forest fitted on `matrix`; `parameters` are scikit-learn's.

    Raises:
        Unlearnable: see `check_rows` and `check_classes`.
    """
    from sklearn.ensemble import RandomForestClassifier

    check_rows(matrix, labels, classes, use="training")
    check_classes(labels, classes)
    settings = {name: value for name, value in parameters.items() if name in _PARAMETERS}
    return Forest(RandomForestClassifier(**settings, random_state=seed, n_jobs=1).fit(matrix, labels))
