# ruff: noqa: ARG002 - the signatures are those of training/workload.py
"""A small real workload for the tests of evaluation: logistic regression on numbers drawn from a seed."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from contracts.tensors import Tensor
from training.settings import TrainingSettings
from training.workload import (
    Dataset,
    Fitted,
    Indices,
    Labels,
    Matrix,
    ModelContract,
    Parameters,
    RoundReport,
    Rows,
    Splits,
    Workload,
)  # fmt: skip

FEATURES = 4
SETTINGS = TrainingSettings(bootstrap_resamples=200, evaluation_seeds=(0, 1, 2))


@dataclass(frozen=True)
class Numbers:
    """Hands the numbers on; remembers which rows it was fitted on."""

    seen: frozenset[str]
    feature_names: tuple[str, ...] = tuple(f"<b>number {index}</b> | pipe" for index in range(FEATURES))

    def matrix(self, inputs: Mapping[str, NDArray[Any]]) -> Matrix:
        """Returns the numbers."""
        return inputs["numbers"].astype(np.float32)


@dataclass(frozen=True)
class Regression:
    """A fitted logistic regression; `spoil` changes its answers, for the tests of bad input."""

    model: LogisticRegression
    spoil: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    rounds: int = 1

    def probabilities(self, matrix: Matrix) -> Matrix:
        """Returns what the regression thinks."""
        answered = self.model.predict_proba(matrix)
        return (self.spoil(answered) if self.spoil else answered).astype(np.float32)

    def contributions(self, matrix: Matrix) -> Matrix | None:
        """Returns coefficient times value with two classes; it cannot tell with more."""
        if len(self.model.classes_) > 2:
            return None
        return np.asarray(matrix * self.model.coef_[0], dtype=np.float32)

    def save_native(self, folder: Path) -> tuple[str, ...]:
        """Has no format of its own."""
        return ()


@dataclass(frozen=True)
class RegressionEstimator:
    """Fits the regression."""

    spoil: Callable[[NDArray[Any]], NDArray[Any]] | None = None

    def featuriser_key(self, parameters: Parameters) -> Hashable:
        """Returns the same for all."""
        return ()

    def fit_featuriser(self, parameters: Parameters, train: Rows) -> Numbers:
        """Returns a featuriser that remembers its rows."""
        return Numbers(frozenset(train.ids.tolist()))

    def fit(
        self, parameters: Parameters, matrix: Matrix, labels: Labels, *,
        validation: tuple[Matrix, Labels] | None = None, seed: int, on_round: RoundReport | None = None,
    ) -> Regression:  # fmt: skip
        """Returns the regression with strength `C`."""
        return Regression(LogisticRegression(C=parameters["C"]).fit(matrix, labels), self.spoil)

    def export(self, featuriser: Any, fitted: Fitted) -> bytes:
        """Is not asked here."""
        raise NotImplementedError

    def save(self, folder: Path, featuriser: Any, fitted: Fitted) -> None:
        """Is not asked here."""
        raise NotImplementedError

    def load(self, folder: Path) -> tuple[Any, Fitted]:
        """Is not asked here."""
        raise NotImplementedError


def workload(classes: tuple[str, ...] = ("ham", "<i>spam</i>"), **estimator: Any) -> Workload:
    """Returns the workload with these classes."""
    return Workload(
        contract=ModelContract(
            name="regression",
            inputs=(Tensor(name="numbers", datatype="FP32", shape=(FEATURES,)),),
            outputs=(
                Tensor(name="label", datatype="INT64", shape=()),
                Tensor(name="probabilities", datatype="FP32", shape=(len(classes),)),
            ),
            classes=classes,
            schema_digest="digest-of-numbers",
        ),
        estimator=RegressionEstimator(**estimator),
        load=lambda _home: dataset(len(classes)),
        search_space={},
        defaults={"C": 1.0},
        floors={"f1": 0.7},
        edge_inputs=lambda: {"numbers": np.zeros((1, FEATURES), dtype=np.float32)},
    )


def rows_of(labels: NDArray[np.int64], distance: float, seed: int = 3) -> Rows:
    """Returns rows whose class k stands `distance` away from the others in number k."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(len(labels), FEATURES))
    numbers[np.arange(len(labels)), labels % FEATURES] += distance
    return Rows(
        {"numbers": numbers.astype(np.float32)},
        labels.astype(np.int64),
        np.array([f"row-{index:05d}" for index in range(len(labels))]),
    )


def dataset(classes: int = 2, rows: int = 600, *, shift: float | None = None, **changes: Any) -> Dataset:
    """Returns rows in pairs of copies, with slices, an ablation, an evasion and an order in time.

    Rows are in the order of time. With `shift` the last 30 % hold the second class with that share only.
    """
    random = np.random.default_rng(9)
    labels = random.integers(classes, size=rows // 2)
    if shift is not None:
        cut = int(0.7 * len(labels))
        labels[cut:] = random.random(len(labels) - cut) < shift
    labels = np.repeat(labels, 2)
    made = rows_of(labels, 2.0)
    made.inputs["numbers"][1::2] = made.inputs["numbers"][::2]
    groups = [f"pair-{index // 2}" for index in range(rows)]

    def split(seed: int) -> Splits:
        order = np.random.default_rng(seed).permutation(rows // 2)
        parts = np.split(order, [int(0.7 * len(order)), int(0.85 * len(order))])
        return Splits(*(np.sort(np.concatenate([part * 2, part * 2 + 1])) for part in parts))

    def without_first(some: Rows) -> Rows:
        numbers = some.inputs["numbers"].copy()
        numbers[:, :2] = 0
        return Rows({"numbers": numbers}, some.labels, some.ids)

    def evaded(indices: Indices) -> Rows:
        some = made.take(indices)
        return Rows({"numbers": some.inputs["numbers"] * 0}, some.labels, np.char.add(some.ids, "-evaded"))

    parts = np.split(np.arange(rows), [int(0.7 * rows), int(0.85 * rows)])
    facts: dict[str, Any] = {
        "rows": made,
        "fingerprint": "sha256:abc",
        "split": split,
        "split_by_time": lambda: Splits(*parts),
        "slices": {
            "large": made.inputs["numbers"][:, 2] > 0,
            "class zero only": labels == 0,
            "nobody": np.zeros(rows, dtype=np.bool_),
        },
        "titles": [
            f"<script>alert({index})</script> | `x` [a](http://evil)\r\n# \u202eeno" for index in range(rows)
        ],
        "groups": groups,
        "ablations": {"the first two numbers": without_first},
        "perturbations": {"nothing": made.take, "blank": evaded},
    }
    return Dataset(**(facts | changes))
