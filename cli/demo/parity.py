"""Estimator and exported graph side by side over every row of a run, measured by the demo itself.

The pipeline's certificate says the same; whoever doubts it wants to see it counted by somebody else.
"""

from pathlib import Path

import numpy as np

from cli.demo.document import Parity
from contracts.bundle import MODEL
from training import snapshot, workloads


def measured(workload_name: str, rows: Path, fitted_model: Path, bundle: Path) -> Parity:
    """Returns how far the graph in `bundle` is from the estimator in `fitted_model`, on data and edge rows.

    `rows` is the snapshot that the run learnt from; the estimator's own label is its largest probability.
    """
    from kit.onnx_function import OnnxFunction

    workload = workloads.find(workload_name)
    data, edges = snapshot.read(rows).rows.inputs, workload.edge_inputs()
    inputs = {name: np.concatenate([data[name], edges[name]]) for name in data}
    featuriser, fitted = workload.estimator.load(fitted_model)
    expected = fitted.probabilities(featuriser.matrix(inputs))
    answered = OnnxFunction((bundle / MODEL).read_bytes())(inputs)
    return Parity(
        rows=len(expected),
        label_mismatches=int((expected.argmax(axis=1) != answered["label"]).sum()),
        max_abs_diff=float(np.abs(expected - answered["probabilities"]).max()),
    )
