"""What one evaluation is about, in one value."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.settings import TrainingSettings
from training.workload import Dataset, Indices, Parameters, Rows, Workload


@dataclass(frozen=True)
class Run:
    """A point of the search space, on the data of a workload, with the seed of the run."""

    workload: Workload
    dataset: Dataset
    parameters: Parameters
    seed: int
    settings: TrainingSettings

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K classes."""
        return self.workload.contract.classes

    @property
    def resamples(self) -> int:
        """Bootstrap resamples behind each interval."""
        return self.settings.bootstrap_resamples

    def rows(self, indices: Indices) -> Rows:
        """Returns the rows at `indices`."""
        return self.dataset.rows.take(indices)

    def groups(self, indices: Indices) -> NDArray[np.str_]:
        """Returns the group of copies of each of these rows; without groups every row is its own."""
        if not len(self.dataset.groups):
            return self.dataset.rows.ids[indices]
        return np.asarray([self.dataset.groups[index] for index in indices], dtype=np.str_)
