"""`iris`: three flowers by four lengths, the smallest whole workload.

It keeps the platform honest: whatever a pipeline step knows of its workload must be said here as well. The
data come with scikit-learn, so there is nothing to fetch.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.tensors import Tensor
from kit.home import Home
from training.estimators.number_forest import NumberForest
from training.workload import Choice, Dataset, ModelContract, Rows, Splits, Whole, Workload

NAME: Final = "iris"
INPUT: Final = "features"
COLUMNS: Final = ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")
CLASSES: Final = ("setosa", "versicolor", "virginica")


def workload() -> Workload:
    """Returns the workload."""
    return Workload(
        contract=ModelContract(
            name=NAME,
            inputs=(Tensor(name=INPUT, datatype="FP32", shape=(len(COLUMNS),)),),
            outputs=(
                Tensor(name="label", datatype="INT64", shape=()),
                Tensor(name="probabilities", datatype="FP32", shape=(len(CLASSES),)),
            ),
            classes=CLASSES,
            schema_digest=hashlib.sha256(json.dumps([INPUT, COLUMNS]).encode()).hexdigest(),
            input_columns={INPUT: COLUMNS},
        ),
        estimator=NumberForest(numbers=INPUT, number_names=COLUMNS, classes=len(CLASSES)),
        load=load,
        search_space={
            "n_estimators": Whole(20, 200, log=True),
            "max_depth": Whole(2, 8),
            "min_samples_leaf": Whole(1, 8),
            "max_features": Choice((1, 2, 4)),
        },
        defaults={"n_estimators": 100, "max_depth": 4, "min_samples_leaf": 1, "max_features": 2},
        floors={"f1": 0.85},
        edge_inputs=edge_inputs,
    )


def load(_home: Home) -> Dataset:
    """Returns the 150 flowers of scikit-learn."""
    from sklearn.datasets import load_iris

    data = load_iris()
    matrix = data.data.astype(np.float32)
    labels = data.target.astype(np.int64)
    ids = np.array([f"iris-{number:03d}" for number in range(len(labels))])
    groups = [row.tobytes().hex() for row in matrix]
    return Dataset(
        rows=Rows({INPUT: matrix}, labels, ids),
        fingerprint=f"sha256:{hashlib.sha256(matrix.tobytes() + labels.tobytes()).hexdigest()}",
        split=lambda seed: split(labels, groups, seed),
        slices={"short_petals": matrix[:, 2] < 2.5, "long_petals": matrix[:, 2] >= 2.5},  # noqa: PLR2004
        titles=[f"flower {identity}" for identity in ids],
        groups=groups,
    )


def split(labels: NDArray[np.int64], groups: list[str], seed: int) -> Splits:
    """Returns 70/15/15, the classes in equal shares; two flowers of equal measures stay together."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(n_splits=20, shuffle=True, random_state=seed)
    parts = [held for _, held in folds.split(labels, labels, groups)]
    validation, test = np.sort(np.concatenate(parts[:3])), np.sort(np.concatenate(parts[3:6]))
    train = np.sort(np.concatenate(parts[6:]))
    return Splits(train, validation, test)


def edge_inputs() -> Mapping[str, NDArray[Any]]:
    """Returns flowers that nobody has seen: of no size, of huge size, and far out in one direction only."""
    rows = np.zeros((6, len(COLUMNS)), dtype=np.float32)
    rows[1] = 1e6
    rows[2:] = np.eye(len(COLUMNS), dtype=np.float32) * 100
    return {INPUT: rows}
