"""`iris`: three flowers by four lengths, the smallest whole workload.

It keeps the platform honest: whatever a pipeline step knows of its workload must be said here as well. The
data come with scikit-learn, so there is nothing to fetch. Flowers that people measured and named since may
join them, in `SLUICE_HOME/iris/labelled.csv`: they are what a retraining learns that was not known before.
"""

import csv
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.tensors import Tensor
from kit.errors import CallerError
from kit.files import sha256_of
from kit.home import Home
from training.estimators.number_forest import NumberForest
from training.workload import Choice, Dataset, ModelContract, Rows, Splits, Whole, Workload

NAME: Final = "iris"
INPUT: Final = "features"
COLUMNS: Final = ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")
CLASSES: Final = ("setosa", "versicolor", "virginica")
LABEL: Final = "species"


class FlowersUnusable(CallerError):
    """The file of further flowers holds something else."""

    status = 422
    code = "flowers_unusable"
    title = "The file of flowers cannot be used"


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
        fetch=fetch,
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


def fetch(home: Home) -> Mapping[str, Any]:
    """Returns what tells the flowers on this machine from others; there is nothing to bring."""
    file = labelled_file(home)
    further = {"labelled since": len(_further(file)[1]), "sha256": sha256_of(file)} if file.exists() else {}
    return {"source": "comes with a library", **further}


def load(home: Home) -> Dataset:
    """Returns the 150 flowers of scikit-learn, and those of `labelled_file` if there is one.

    Raises:
        FlowersUnusable: the file holds something else.
    """
    from sklearn.datasets import load_iris

    data = load_iris()
    matrix = data.data.astype(np.float32)
    labels = data.target.astype(np.int64)
    if labelled_file(home).exists():
        further, named = _further(labelled_file(home))
        matrix, labels = np.concatenate([matrix, further]), np.concatenate([labels, named])
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


def labelled_file(home: Home) -> Path:
    """Returns where further flowers stand: a CSV with the columns of the model and `species`, by name."""
    return home.root / NAME / "labelled.csv"


def _further(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    with path.open(encoding="utf-8", newline="") as source:
        table = csv.DictReader(source)
        if table.fieldnames != [*COLUMNS, LABEL]:
            raise _unusable(path, f"must begin with the line {','.join((*COLUMNS, LABEL))}")
        rows = [_flower(path, table.line_num, row) for row in table]
    return (
        np.array([numbers for numbers, _ in rows], dtype=np.float32).reshape(-1, len(COLUMNS)),
        np.array([label for _, label in rows], dtype=np.int64),
    )


def _flower(path: Path, line: int, row: Mapping[str, str]) -> tuple[list[float], int]:
    try:
        numbers = [float(row[name]) for name in COLUMNS]
        label = CLASSES.index(row[LABEL])
    except (TypeError, ValueError) as exc:
        raise _unusable(path, f"has no four numbers and one of {', '.join(CLASSES)} in line {line}") from exc
    if not all(map(math.isfinite, numbers)):
        raise _unusable(path, f"has a number without end in line {line}")
    return numbers, label


def _unusable(path: Path, what: str) -> FlowersUnusable:
    return FlowersUnusable(f"{path} {what}.", next_step="Correct the file, or remove it.")


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
