"""The proof that the exported graph answers as the fitted estimator does, over all rows and edge rows.

What is compared (docs/bundle.md):

- Probabilities: the estimator's on the featuriser's matrix against the graph's; at most `TOLERANCE` apart.
- Labels: the class of the largest probability, the first at a tie, must be the same. A tie is a row whose
  two largest probabilities lie within the tolerance: there rounding decides, either of them is right, and the
  number of such rows is part of the certificate. The graph's label always follows its own probabilities.
- A row in a batch against the same row alone: at most `TOLERANCE` apart.
- The feature matrix against the one of the library it was fitted with, where there is one: at most
  `FEATURE_TOLERANCE` apart, as a share of values above 1; more is a wrong conversion and not rounding.

Errors::

    Refused
    └── ParityRefused   the graph and the estimator differ; `mismatches` lists the rows
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import Parity
from kit.errors import Refused
from kit.onnx_function import BATCH_ROWS, OnnxFunction
from training.workload import Featuriser, Fitted, Labels, Mask, Matrix, Referenced, Rows

TOLERANCE: Final = 1e-6
FEATURE_TOLERANCE: Final = 1e-5
"""Rounding of float32 TF-IDF was measured at 3e-7, of a value of 1."""

SINGLE_ROWS: Final = 500
"""Rows of the data that are also asked alone, evenly spread; edge rows all are."""
TIMED_ROWS: Final = 50
_LISTED: Final = 20

Inputs = Mapping[str, NDArray[Any]]


class Mismatch(NamedTuple):
    """One row on which graph and estimator differ; `row` is its id, or `edge-<number>`."""

    row: str
    what: str
    estimator: float
    graph: float

    def __str__(self) -> str:
        return f"Row {self.row}: {self.what}: estimator {self.estimator:.9g}, graph {self.graph:.9g}."


class ParityRefused(Refused):
    """The graph is not the estimator; `mismatches` holds every row that differs, `reasons` the first ones."""

    code = "parity_refused"
    title = "Graph and estimator differ"

    def __init__(self, mismatches: Sequence[Mismatch], compared: int) -> None:
        rows = len({mismatch.row for mismatch in mismatches})
        more = len(mismatches) - _LISTED
        super().__init__(
            f"The exported graph differs from the fitted estimator on {rows} of {compared} rows.",
            reasons=[
                *(str(mismatch) for mismatch in mismatches[:_LISTED]),
                *([f"And {more} more."] if more > 0 else []),
            ],
            next_step="Do not serve it. docs/bundle.md lists the known causes.",
        )
        self.mismatches = tuple(mismatches)


def certify(model: bytes, featuriser: Featuriser, fitted: Fitted, rows: Rows, edge_inputs: Inputs) -> Parity:
    """Returns the certificate of the graph `model` over `rows` and `edge_inputs`.

    Raises:
        ParityRefused: a row differs.
    """
    import onnxruntime

    edges = len(next(iter(edge_inputs.values())))
    names = np.array([*rows.ids.tolist(), *(f"edge-{number}" for number in range(edges))])
    inputs = {name: np.concatenate([rows.inputs[name], edge_inputs[name]]) for name in rows.inputs}
    graph = OnnxFunction(model)
    matrix = featuriser.matrix(inputs)
    expected = fitted.probabilities(matrix)
    started = time.perf_counter()
    labels, answered = _answers(graph, inputs)
    batch_seconds = (time.perf_counter() - started) / len(names)

    alone = np.unique([*np.linspace(0, len(rows) - 1, SINGLE_ROWS, dtype=int), *range(len(rows), len(names))])
    single_labels, singles = _answers(graph, _at(inputs, alone), batch_rows=1)
    ties = _ties(expected)
    mismatches = [
        *_apart("probability", names, expected, answered, TOLERANCE),
        *_unequal("label", names, expected.argmax(axis=1), labels, but=ties),
        *_unequal("label of its own probabilities", names, answered.argmax(axis=1), labels),
        *_apart("probability alone and in a batch", names[alone], singles, answered[alone], TOLERANCE),
        *_unequal("label alone and in a batch", names[alone], single_labels, labels[alone]),
    ]
    second = featuriser.fitted_matrix(inputs) if isinstance(featuriser, Referenced) else None
    apart = None
    if second is not None:
        scale = np.maximum(1, np.abs(second))
        apart = float((np.abs(second - matrix) / scale).max())
        mismatches += _apart("feature", names, second / scale, matrix / scale, FEATURE_TOLERANCE)
    if mismatches:
        raise ParityRefused(mismatches, len(names))
    difference = np.abs(expected - answered)
    timed = _at(inputs, alone[: len(alone) - edges][:: max(1, SINGLE_ROWS // TIMED_ROWS)])
    return Parity(
        model_sha256=hashlib.sha256(model).hexdigest(),
        rows=len(rows),
        edge_rows=edges,
        tolerance=TOLERANCE,
        max_probability_difference=float(difference.max()),
        mean_probability_difference=float(difference.mean()),
        ties=int(ties.sum()),
        max_single_row_difference=float(np.abs(singles - answered[alone]).max()),
        single_rows=len(alone),
        max_feature_difference=apart,
        estimator_seconds_per_row=_seconds_per_row(_estimator(featuriser, fitted), timed),
        onnx_seconds_per_row=_seconds_per_row(graph, timed),
        onnx_batch_seconds_per_row=batch_seconds,
        batch_rows=BATCH_ROWS,
        onnxruntime=onnxruntime.__version__,
    )


def _answers(graph: OnnxFunction, inputs: Inputs, batch_rows: int = BATCH_ROWS) -> tuple[Labels, Matrix]:
    outputs = graph(inputs, batch_rows=batch_rows)
    return outputs["label"], outputs["probabilities"]


def _at(inputs: Inputs, indices: NDArray[np.intp]) -> Inputs:
    return {name: values[indices] for name, values in inputs.items()}


def _ties(probabilities: Matrix) -> Mask:
    """Returns where the two largest probabilities lie within the tolerance."""
    ordered = np.sort(probabilities, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2] <= TOLERANCE)


def _apart(
    what: str,
    names: NDArray[np.str_],
    expected: NDArray[np.floating],
    found: NDArray[np.floating],
    tolerance: float,
) -> list[Mismatch]:
    """Returns the rows of which some value is further apart than `tolerance`, the worst value of each."""
    # A NaN on either side is no smaller than anything, so it is asked for what is near and not what is far.
    if expected.shape != found.shape:
        return [Mismatch("all", f"number of columns of {what}", expected.shape[1], found.shape[1])]
    distance = np.abs(expected.astype(np.float64) - found)
    distance = np.where(np.isnan(distance), np.inf, distance)
    worst = distance.argmax(axis=1)
    return [
        Mismatch(str(names[row]), what, float(expected[row, worst[row]]), float(found[row, worst[row]]))
        for row in np.flatnonzero(distance.max(axis=1) > tolerance)
    ]


def _unequal(
    what: str, names: NDArray[np.str_], expected: Labels, found: Labels, but: Mask | None = None
) -> list[Mismatch]:
    wrong = expected != found
    if but is not None:
        wrong = wrong & ~but
    return [
        Mismatch(str(names[row]), what, float(expected[row]), float(found[row]))
        for row in np.flatnonzero(wrong)
    ]


def _estimator(featuriser: Featuriser, fitted: Fitted) -> Callable[[Inputs], Matrix]:
    """Returns the estimator as a function of inputs, all of it in the libraries it was fitted with."""
    if isinstance(featuriser, Referenced):
        return lambda inputs: fitted.probabilities(featuriser.fitted_matrix(inputs))
    return lambda inputs: fitted.probabilities(featuriser.matrix(inputs))


def _seconds_per_row(answer: Callable[[Inputs], Any], inputs: Inputs) -> float:
    """Returns the median time of one row asked alone, after one row that warms up."""
    rows = [_at(inputs, np.array([row])) for row in range(len(next(iter(inputs.values()))))]
    answer(rows[0])
    times = []
    for row in rows:
        started = time.perf_counter()
        answer(row)
        times.append(time.perf_counter() - started)
    return float(np.median(times))
