"""A workload of numbers alone, small enough to be fitted often; what its estimators do leaves marks."""

# ruff: noqa: ARG002 - the signatures are those of training/workload.py

import os
import signal
import time
import uuid
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.tensors import Tensor
from kit.home import Home
from training.workload import (
    Choice,
    Dataset,
    Labels,
    Matrix,
    ModelContract,
    Parameters,
    RoundReport,
    Rows,
    Splits,
    Uniform,
    Whole,
    Workload,
)

COLUMNS = 30


@dataclass
class Columns:
    """A featuriser that takes every `step`-th column."""

    step: int

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names by position."""
        return tuple(f"column {number}" for number in range(0, COLUMNS, self.step))

    def matrix(self, inputs: Mapping[str, NDArray[Any]]) -> Matrix:
        """Returns the columns, float32 [N, F]."""
        return np.ascontiguousarray(inputs["numbers"][:, :: self.step], dtype=np.float32)


@dataclass
class Model:
    """A fitted model of two classes."""

    inner: Any
    rounds: int

    def probabilities(self, matrix: Matrix) -> Matrix:
        """Returns float32 [N, 2]."""
        positive = self.inner(matrix)
        return np.stack([1 - positive, positive], axis=1).astype(np.float32)

    def contributions(self, matrix: Matrix) -> Matrix | None:
        """Cannot tell."""
        return None

    def save_native(self, folder: Path) -> tuple[str, ...]:
        """Has no file."""
        return ()


@dataclass
class Trees:
    """The booster of a model."""

    booster: Any

    def __call__(self, matrix: Matrix) -> Matrix:
        """Returns the probability of the second class."""
        answers: Matrix = self.booster.inplace_predict(matrix)
        return answers


@dataclass
class Centroids:
    """The mean row of each class, in units of each column's spread."""

    means: Matrix
    spread: Matrix

    def __call__(self, matrix: Matrix) -> Matrix:
        """Returns the probability of the second class."""
        away = [np.abs((matrix - mean) / self.spread).mean(axis=1) for mean in self.means]
        return np.asarray(1 / (1 + np.exp(4 * (away[1] - away[0]))), dtype=np.float32)


@dataclass(frozen=True)
class BoostedEstimator:
    """XGBoost on every `step`-th column; leaves a file in `marks` for each thing that it does."""

    marks: Path
    misbehaviour: str = ""
    """`dies once`, `dies always`, `raises`, `raises below 3` (max_depth), `slow`, `sleeps`."""
    fits_in_shards: bool = True

    def featuriser_key(self, parameters: Parameters) -> Hashable:
        """The step, within a tuple as real workloads have."""
        return tuple(parameters["steps"])

    def fit_featuriser(self, parameters: Parameters, train: Rows) -> Columns:
        """Leaves a mark with the step."""
        self._mark(f"featuriser-{parameters['steps'][0]}")
        return Columns(parameters["steps"][0])

    def fit(
        self,
        parameters: Parameters,
        matrix: Matrix,
        labels: Labels,
        *,
        validation: tuple[Matrix, Labels] | None = None,
        seed: int,
        on_round: RoundReport | None = None,
    ) -> Model:
        """Leaves a mark with the learning rate, which tells trials apart, and misbehaves as it was told."""
        self._mark(f"fit-{parameters['learning_rate']!r}")
        self._misbehave(parameters)
        return self._model(parameters, matrix, labels, validation, seed, on_round)

    def _model(
        self,
        parameters: Parameters,
        matrix: Matrix,
        labels: Labels,
        validation: tuple[Matrix, Labels] | None,
        seed: int,
        on_round: RoundReport | None,
    ) -> Model:
        import xgboost

        class Rounds(xgboost.callback.TrainingCallback):
            def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
                assert on_round is not None
                on_round(epoch + 1, {"log_loss": evals_log["validation"]["logloss"][-1]})
                return False

        booster = xgboost.train(
            {
                "objective": "binary:logistic",
                "eval_metric": "logloss",
                "learning_rate": parameters["learning_rate"],
                "max_depth": parameters["max_depth"],
                "seed": seed,
            },
            xgboost.QuantileDMatrix(matrix, labels),
            num_boost_round=parameters["rounds"],
            evals=[] if validation is None else [(xgboost.DMatrix(*validation), "validation")],
            callbacks=[] if on_round is None else [Rounds()],
            verbose_eval=False,
        )
        self._mark(f"whole-{parameters['learning_rate']!r}")
        return Model(Trees(booster), booster.num_boosted_rounds())

    def export(self, featuriser: Any, fitted: Any) -> bytes:
        """Is of no use here."""
        raise NotImplementedError

    def save(self, folder: Path, featuriser: Any, fitted: Any) -> None:
        """Is of no use here."""
        raise NotImplementedError

    def load(self, folder: Path) -> Any:
        """Is of no use here."""
        raise NotImplementedError

    def _misbehave(self, parameters: Parameters) -> None:
        if self.misbehaviour in ("slow", "sleeps"):
            time.sleep(0.5 if self.misbehaviour == "slow" else 600)
        if self.misbehaviour == "raises" or (
            self.misbehaviour == "raises below 3" and parameters["max_depth"] < 3
        ):
            raise ValueError("the trees would not grow")
        deaths = len(list(self.marks.glob("death-*")))
        if self.misbehaviour == "dies always" or (self.misbehaviour == "dies once" and not deaths):
            self._mark("death")
            os.kill(os.getpid(), signal.SIGKILL)

    def _mark(self, what: str) -> None:
        self.marks.mkdir(parents=True, exist_ok=True)
        (self.marks / f"{what}-{uuid.uuid4().hex}").touch()


@dataclass(frozen=True)
class CentroidEstimator(BoostedEstimator):
    """The nearest mean: it reports no rounds, cannot be fitted in shards, and needs numpy only.

    A process that starts for it is there in half the time.
    """

    fits_in_shards: bool = field(default=False)

    def _model(
        self,
        parameters: Parameters,
        matrix: Matrix,
        labels: Labels,
        validation: tuple[Matrix, Labels] | None,
        seed: int,
        on_round: RoundReport | None,
    ) -> Model:
        means = np.stack([matrix[labels == each].mean(axis=0) for each in (0, 1)])
        return Model(Centroids(means, matrix.std(axis=0) + 1e-6), 1)


def dataset() -> Dataset:
    """Returns scikit-learn's breast cancer: 569 rows, 30 numbers, two classes."""
    from sklearn.datasets import load_breast_cancer

    numbers, labels = load_breast_cancer(return_X_y=True)
    ids = np.asarray([f"row {number}" for number in range(len(labels))])
    rows = Rows({"numbers": numbers.astype(np.float32)}, labels.astype(np.int64), ids)
    return Dataset(
        rows=rows, fingerprint="breast cancer", split=split, groups=[str(n // 2) for n in range(569)]
    )


def split(seed: int) -> Splits:
    """Returns 341 rows to fit on, 114 to choose on, 114 to judge on."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    _, labels = load_breast_cancer(return_X_y=True)
    rest, test = train_test_split(np.arange(569), test_size=114, random_state=seed, stratify=labels)
    train, validation = train_test_split(rest, test_size=114, random_state=seed, stratify=labels[rest])
    return Splits(train, validation, test)


def _load(_home: Home) -> Dataset:
    return dataset()


def _edges() -> Mapping[str, NDArray[Any]]:
    return {"numbers": np.zeros((1, COLUMNS), dtype=np.float32)}


def workload(estimator: Any) -> Workload:
    """Returns the workload around `estimator`."""
    contract = ModelContract(
        "tumours",
        (Tensor(name="numbers", datatype="FP32", shape=(COLUMNS,)),),
        (),
        ("malignant", "benign"),
        "digest",
    )
    return Workload(
        contract=contract,
        estimator=estimator,
        load=_load,
        search_space={
            "learning_rate": Uniform(0.05, 0.5, log=True),
            "max_depth": Whole(1, 6),
            "steps": Choice(((1,), (2,))),
        },
        defaults={"learning_rate": 0.3, "max_depth": 3, "steps": (1,), "rounds": 12},
        floors={},
        edge_inputs=_edges,
    )
