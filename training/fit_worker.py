"""The fit as it runs in a process of Ray: all rows, or one shard of them."""

import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.workload import Estimator, Fitted, Indices, Labels, Matrix, Parameters

FITTED: Final = "fitted.pickle"


@dataclass(frozen=True)
class FitWork:
    """What every worker of a fit shares; the arrays are references into Ray's object store."""

    estimator: Estimator
    parameters: Parameters
    seed: int
    tables: Any
    """Of (train matrix, train labels, validation matrix, validation labels)."""


def shard(labels: Labels, rank: int, workers: int) -> Indices:
    """Returns the rows of worker `rank`, ascending: every `workers`-th row of each class."""
    by_class = np.argsort(labels, kind="stable")
    return np.sort(by_class[rank::workers])


def fit_shard(work: FitWork, rank: int, workers: int) -> Fitted:
    """Returns the model, in one of `workers` processes."""
    import ray

    matrix, labels, *validation = ray.get(work.tables)
    if workers > 1:
        rows = shard(labels, rank, workers)
        matrix, labels = matrix[rows], labels[rows]
    judged: tuple[Matrix, Labels] = (validation[0], validation[1])
    return work.estimator.fit(work.parameters, matrix, labels, validation=judged, seed=work.seed)


def train_loop(config: dict[str, Any]) -> None:
    """Fits one shard in a worker of Ray Train; the first worker hands over the model that all have."""
    from ray import train

    context = train.get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()
    fitted = fit_shard(config["work"], rank, workers)
    with tempfile.TemporaryDirectory() as folder:
        if rank == 0:
            (Path(folder) / FITTED).write_bytes(pickle.dumps(fitted))
        checkpoint = train.Checkpoint.from_directory(folder) if rank == 0 else None
        train.report({"rounds": fitted.rounds}, checkpoint=checkpoint)
