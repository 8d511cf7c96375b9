"""The seam between the platform and what it trains: one object for each workload.

The platform (search, fit, evaluate, export, certificate, bundle, registry, gate, pipeline) works on this
module's types and names no workload. A workload is a folder in `training/workloads/`, and is listed once in
`training/workloads/__init__.py`.

Shapes: N rows, F features, K classes. All matrices are dense float32: XGBoost reads an absent entry of a
sparse row as missing, and ONNX gets a zero there.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from contracts.tensors import Tensor
from kit.home import Home

Matrix = NDArray[np.float32]
Labels = NDArray[np.int64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]
Parameters = Mapping[str, Any]
"""One point of the search space, by parameter name."""


@dataclass(frozen=True)
class ModelContract:
    """What the model takes and gives, as it stands in the bundle's contract.json."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    classes: tuple[str, ...]
    """The class names in the order of the `probabilities` columns."""
    schema_digest: str
    """The feature schema version that the model is bound to."""
    input_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of the columns of each FP32 input, by input name: drift and reports call them so."""

    @property
    def is_binary(self) -> bool:
        """Two classes, of which the second is the one that is looked for."""
        return len(self.classes) == 2  # noqa: PLR2004 - two is what binary means


@dataclass(frozen=True)
class Rows:
    """N labelled examples in the very form in which the served model gets them."""

    inputs: Mapping[str, NDArray[Any]]
    """By tensor name: object [N, 1] of str for BYTES, float32 [N, …] for FP32."""
    labels: Labels
    ids: NDArray[np.str_]

    def __len__(self) -> int:
        """Returns N."""
        return len(self.labels)

    def take(self, indices: Indices) -> "Rows":
        """Returns the rows at `indices`, in their order."""
        inputs = {name: values[indices] for name, values in self.inputs.items()}
        return Rows(inputs, self.labels[indices], self.ids[indices])


class Splits(NamedTuple):
    """Row numbers of the three uses; disjoint, and no group of copies is in two of them."""

    train: Indices
    validation: Indices
    test: Indices


@dataclass(frozen=True)
class Dataset:
    """Everything a run learns from and is judged on."""

    rows: Rows
    fingerprint: str
    """Order-independent hash of the data; it travels with every model."""
    split: Callable[[int], Splits]
    """The grouped, stratified split of a seed."""
    split_by_time: Callable[[], Splits] | None = None
    """The split in which the past judges nothing and the future trains nothing; None without dates."""
    slices: Mapping[str, Mask] = field(default_factory=dict)
    """Evaluation slices by name; each is bool [N]."""
    titles: Sequence[str] = ()
    """What a person recognises each row by, for the lists of errors."""
    groups: Sequence[str] = ()
    """The cluster of copies that each row is in, [N]; empty means that no row is a copy of another. Copies
    are not independent, so intervals are drawn by whole groups."""
    ablations: Mapping[str, Callable[[Rows], Rows]] = field(default_factory=dict)
    """By name: the same rows without something, to show what it is worth."""
    perturbations: Mapping[str, Callable[[Indices], Rows]] = field(default_factory=dict)
    """By name: the given rows again after an evasion, to show what it costs."""
    reference: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Further columns [N] by name that drift is measured on, beside FP32 inputs and scores."""


class Uniform(NamedTuple):
    """A real number between `low` and `high`, on a logarithmic scale if `log`."""

    low: float
    high: float
    log: bool = False


class Whole(NamedTuple):
    """A whole number from `low` to `high`, both included, on a logarithmic scale if `log`."""

    low: int
    high: int
    log: bool = False


class Choice(NamedTuple):
    """One of `values`."""

    values: tuple[Any, ...]


Domain = Uniform | Whole | Choice


class Featuriser(Protocol):
    """Fitted inputs-to-matrix, already exported: what it returns is what ONNX Runtime computes in serving."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The real names of the F columns, for people; inside the trees they are f0, f1 and so on."""
        ...

    def matrix(self, inputs: Mapping[str, NDArray[Any]]) -> Matrix:
        """Returns float32 [N, F], computed by ONNX Runtime on the exported graph."""
        ...


@runtime_checkable
class Referenced(Protocol):
    """A featuriser that can also be asked in the library that it was fitted with."""

    def fitted_matrix(self, inputs: Mapping[str, NDArray[Any]]) -> Matrix:
        """Returns float32 [N, F] as that library computes it: equal to `matrix` but for the last bits.

        The certificate holds the two against each other: that shows a conversion which is wrong.
        """
        ...


@runtime_checkable
class Reading(Protocol):
    """A featuriser that learned words, and can say how much of a text it knows."""

    def known_shares(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Returns [N]: the share of each text's tokens that are known, as serving computes it."""
        ...


class Fitted(Protocol):
    """A fitted estimator on top of a featuriser's matrix."""

    @property
    def rounds(self) -> int:
        """Boosting rounds, or trees, that count (early stopping has been applied)."""
        ...

    def probabilities(self, matrix: Matrix) -> Matrix:
        """Returns float32 [N, K]."""
        ...

    def contributions(self, matrix: Matrix) -> Matrix | None:
        """Returns what each feature adds to the log odds, float32 [N, F], or None if it cannot tell."""
        ...

    def save_native(self, folder: Path) -> tuple[str, ...]:
        """Writes the estimator's own format into `folder` and returns the file names, if it has one."""
        ...


RoundReport = Callable[[int, Mapping[str, float]], None]
"""Called after each boosting round with its number, from 1, and the figures so far on the validation rows, of
which `log_loss` is always one; may raise to stop the fit."""


class Estimator(Protocol):
    """How a workload's model is made from parameters; stateless, so that it can be sent to a Ray worker."""

    def featuriser_key(self, parameters: Parameters) -> Hashable:
        """Returns what of `parameters` the featuriser depends on: equal keys share one featuriser."""
        ...

    def fit_featuriser(self, parameters: Parameters, train: Rows) -> Featuriser:
        """Returns the featuriser fitted on the training rows, exported."""
        ...

    def fit(
        self,
        parameters: Parameters,
        matrix: Matrix,
        labels: Labels,
        *,
        validation: tuple[Matrix, Labels] | None = None,
        seed: int,
        on_round: RoundReport | None = None,
    ) -> Fitted:
        """Returns the fitted estimator; with `validation` it may stop early."""
        ...

    def export(self, featuriser: Featuriser, fitted: Fitted) -> bytes:
        """Returns one ONNX graph from the contract's inputs to its outputs; tensors only, no ZipMap."""
        ...

    def save(self, folder: Path, featuriser: Featuriser, fitted: Fitted) -> None:
        """Writes both into `folder`, so that the next step of a pipeline can go on in another process."""
        ...

    def load(self, folder: Path) -> tuple[Featuriser, Fitted]:
        """Returns what `save` wrote, equal in every answer."""
        ...


@runtime_checkable
class ShardedEstimator(Protocol):
    """An estimator whose `fit` may run in W processes at once, each on its own rows.

    XGBoost can: inside its collective communication every process builds the same trees from all shards. The
    platform opens that communication around `fit`; `validation` is whole in each process. A `Fitted` of such
    an estimator can be pickled, as can one of any other.
    """

    fits_in_shards: bool


@dataclass(frozen=True)
class Workload:
    """What one use of the platform brings."""

    contract: ModelContract
    estimator: Estimator
    load: Callable[[Home], Dataset]
    """Reads the data of this machine and makes features; raises a kit error that says what to run first."""
    search_space: Mapping[str, Domain]
    defaults: Parameters
    """A good point of the search space: the first trial, and the model when nothing is searched."""
    floors: Mapping[str, float]
    """What the gate asks at least, by metric name; slices as `slice:<name>:<metric>`."""
    edge_inputs: Callable[[], Mapping[str, NDArray[Any]]]
    """Rows that no data set holds (empty text, extremes), for the certificate; shaped as `Rows.inputs`."""
    fetch: Callable[[Home], Mapping[str, Any]] | None = None
    """Brings the data onto this machine unless it is there, and returns what tells it from other data (a
    fingerprint, counts; never a time). None: the data comes with a library."""
    validate: Callable[[Home], Sequence[str]] | None = None
    """Judges the data before anything learns from it and returns one sentence for each check that passed;
    raises `Refused` with the reasons. None: only the checks that hold for every data set."""
    materialize: Callable[[Home], None] | None = None
    """Brings the feature stores of this machine up to date with the data, before `load`. None: no stores."""

    @property
    def name(self) -> str:
        """The name that users type, and under which models are registered."""
        return self.contract.name
