"""The two parts of a model, as an estimator of this package made them."""

from typing import Any, Protocol, TypeVar

from training.estimators.graph import classifier_graph
from training.workload import Featuriser, Fitted

Features = TypeVar("Features")
Trees = TypeVar("Trees")


class _Convertible(Protocol):
    def graph(self) -> Any: ...


def parts(
    featuriser: Featuriser, fitted: Fitted, made: tuple[type[Features], type[Trees]]
) -> tuple[Features, Trees]:
    """Returns both, known to be of the types that the estimator makes.

    Raises:
        TypeError: another estimator made one of them.
    """
    if not isinstance(featuriser, made[0]) or not isinstance(fitted, made[1]):
        raise TypeError("Not made by this estimator.")
    return featuriser, fitted


def whole_graph(features: Any, trees: _Convertible, classes: int) -> bytes:
    """Returns one ONNX graph from the contract's inputs to `label` and `probabilities`."""
    return bytes(classifier_graph(features.proto(), trees.graph(), classes).SerializeToString())
