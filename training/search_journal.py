"""The memory of a search on disk: every trial that ended, written the moment it ends.

A kill at any time loses at most the trials that were running. The first line says what is searched; a search
for something else never goes on with it.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kit.errors import CallerError
from kit.files import write_text
from training.search_space import from_json
from training.trials import SearchPlan, Trial, as_json
from training.workload import Dataset, Splits, Workload

JOURNAL: Final = "trials.jsonl"


class SearchDiffers(CallerError):
    """The folder holds the trials of another search."""

    status = 409
    code = "search_differs"
    title = "Not the same search"


def identity(workload: Workload, dataset: Dataset, splits: Splits, plan: SearchPlan) -> dict[str, Any]:
    """Returns what must be equal for the values of two parts of a search to be comparable."""
    rows = hashlib.sha256()
    for part in (splits.train, splits.validation):
        rows.update("\n".join(dataset.rows.ids[part]).encode() + b"\0")
    space = {name: [type(domain).__name__, *domain] for name, domain in workload.search_space.items()}
    return {
        "workload": workload.name,
        "schema": workload.contract.schema_digest,
        "data": dataset.fingerprint,
        "split": rows.hexdigest(),
        "objective": plan.objective,
        "folds": plan.folds,
        "seed": plan.seed,
        "space": as_json(space),
    }


class Journal:
    """The trials in one folder, in the order in which they ended."""

    def __init__(self, folder: Path, of: Mapping[str, Any], workload: Workload) -> None:
        self._path = folder / JOURNAL
        self._of = json.loads(json.dumps(of))
        self._workload = workload

    def begin(self) -> None:
        """Starts an empty journal in place of whatever was there."""
        write_text(self._path, json.dumps(self._of) + "\n")

    def read(self) -> list[Trial]:
        """Returns the trials so far; begins the journal if there is none.

        A last line that was cut off by a kill is dropped, from the file too.

        Raises:
            SearchDiffers: the folder holds another search.
        """
        if not self._path.exists():
            self.begin()
            return []
        whole, _, cut = self._path.read_text(encoding="utf-8").rpartition("\n")
        if cut:
            write_text(self._path, whole + "\n")
        first, *rest = whole.split("\n")
        self._refuse_another(json.loads(first or "{}"))
        return [self._trial(line) for line in rest]

    def append(self, trial: Trial) -> None:
        """Adds one trial; it is on the disk when this returns."""
        document = trial.model_dump(mode="json") | {"parameters": as_json(trial.parameters)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _trial(self, line: str) -> Trial:
        trial = Trial.model_validate_json(line)
        parameters = from_json(trial.parameters, self._workload.search_space, self._workload.defaults)
        return trial.model_copy(update={"parameters": parameters})

    def _refuse_another(self, found: Mapping[str, Any]) -> None:
        different: Sequence[str] = [name for name in self._of if found.get(name) != self._of[name]]
        if different:
            raise SearchDiffers(
                f"{self._path.parent} holds a search with another {', '.join(different)}.",
                next_step="Search in another folder, or begin anew instead of resuming.",
            )
