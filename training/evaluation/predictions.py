"""What a model answered on the rows it was judged on, kept as a file for the next comparison."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.predictions import GROUP, ID, LABEL, PROBABILITY_PREFIX, THRESHOLD
from kit.errors import CallerError
from kit.files import replaced
from training.workload import Indices, Labels, Mask


class PredictionsUnreadable(CallerError):
    """A file of predictions is missing or is not what it should be."""

    status = 422
    code = "predictions_unreadable"
    title = "Predictions cannot be read"


@dataclass(frozen=True)
class Predictions:
    """N answers; `probabilities` is float64 [N, K], `groups` names the cluster of copies of each row."""

    ids: NDArray[np.str_]
    groups: NDArray[np.str_]
    labels: Labels
    probabilities: NDArray[np.float64]
    threshold: float | None
    """Of the second class; None with more than two classes."""

    def __len__(self) -> int:
        """Returns N."""
        return len(self.labels)

    def take(self, rows: Indices | Mask) -> "Predictions":
        """Returns the answers on `rows`."""
        return Predictions(
            self.ids[rows], self.groups[rows], self.labels[rows], self.probabilities[rows], self.threshold
        )


def write(predictions: Predictions, path: Path) -> None:
    """Writes `predictions` to `path` as Parquet: id, group, label, probability_0 and so on."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {
        ID: predictions.ids.tolist(),
        GROUP: predictions.groups.tolist(),
        LABEL: predictions.labels,
    }
    for index in range(predictions.probabilities.shape[1]):
        columns[f"{PROBABILITY_PREFIX}{index}"] = predictions.probabilities[:, index]
    threshold = "" if predictions.threshold is None else repr(predictions.threshold)
    table = pa.table(columns).replace_schema_metadata({THRESHOLD: threshold})
    with replaced(path) as temporary:
        pq.write_table(table, temporary)


def read(path: Path) -> Predictions:
    """Returns what `write` wrote, equal in every bit.

    Raises:
        PredictionsUnreadable: there is no such file, or it is of another kind.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        threshold = table.schema.metadata[THRESHOLD.encode()].decode()
        names = [name for name in table.column_names if name.startswith(PROBABILITY_PREFIX)]
        return Predictions(
            ids=np.asarray(table[ID].to_pylist(), dtype=np.str_),
            groups=np.asarray(table[GROUP].to_pylist(), dtype=np.str_),
            labels=table[LABEL].to_numpy(),
            probabilities=np.stack([table[name].to_numpy() for name in names], axis=1),
            threshold=float(threshold) if threshold else None,
        )
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as exc:
        raise PredictionsUnreadable(
            f"{path} holds no predictions that can be read.", next_step="Evaluate the model again."
        ) from exc
