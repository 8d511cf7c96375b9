"""A random forest on numbers as they are: the estimator of a workload with one input of numbers."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.estimators import forest
from training.estimators.forest import Forest
from training.estimators.number_features import NumberFeatures
from training.estimators.parts import parts, whole_graph
from training.workload import Featuriser, Fitted, Labels, Matrix, Parameters, RoundReport, Rows


@dataclass(frozen=True)
class NumberForest:
    """scikit-learn's random forest; stateless. Parameters: those of training.estimators.forest."""

    numbers: str
    number_names: tuple[str, ...]
    classes: int

    def featuriser_key(self, parameters: Parameters) -> Hashable:  # noqa: ARG002 - the seam's signature
        """Returns one key for all parameters: there is nothing to fit."""
        return ()

    def fit_featuriser(self, parameters: Parameters, train: Rows) -> NumberFeatures:  # noqa: ARG002
        """Returns the numbers as they are."""
        return NumberFeatures(self.numbers, self.number_names)

    def fit(
        self,
        parameters: Parameters,
        matrix: Matrix,
        labels: Labels,
        *,
        validation: tuple[Matrix, Labels] | None = None,
        seed: int,
        on_round: RoundReport | None = None,
    ) -> Forest:
        """Returns the fitted forest; `on_round` hears once, after the last tree.

        Raises:
            Unlearnable: see `forest.fit`.
        """
        fitted = forest.fit(parameters, matrix, labels, classes=self.classes, seed=seed)
        if on_round is not None:
            on_round(fitted.rounds, {} if validation is None else _judged(fitted, *validation))
        return fitted

    def export(self, featuriser: Featuriser, fitted: Fitted) -> bytes:
        """Returns one ONNX graph from the numbers to `label` and `probabilities`."""
        features, trees = parts(featuriser, fitted, (NumberFeatures, Forest))
        return whole_graph(features.graph, trees, self.classes)

    def save(self, folder: Path, featuriser: Featuriser, fitted: Fitted) -> None:
        """Writes both into `folder`."""
        features, trees = parts(featuriser, fitted, (NumberFeatures, Forest))
        features.save(folder)
        trees.save(folder)

    def load(self, folder: Path) -> tuple[NumberFeatures, Forest]:
        """Returns what `save` wrote, equal in every answer."""
        return NumberFeatures.load(folder), Forest.load(folder)


def _judged(fitted: Forest, matrix: Matrix, labels: Labels) -> dict[str, float]:
    from sklearn.metrics import log_loss

    answers = fitted.probabilities(matrix).astype(np.float64)
    classes = list(range(answers.shape[1]))
    return {"log_loss": float(log_loss(labels, answers, labels=classes))}
