"""Two versions on the rows that both were tested on: which verdicts differ, and what that costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from contracts.bundle import BundleContract
from contracts.predictions import ID, LABEL, PROBABILITY_PREFIX
from kit.errors import CallerError
from serving.verdicts import decided

Verdicts = NDArray[np.int64]
Probabilities = NDArray[np.float64]
_TWO: Final = 2


class AnswersUnreadable(CallerError):
    """A version keeps no answers on its test split, or others than ours."""

    status = 422
    code = "answers_unreadable"
    title = "No answers on the test split"


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Flip(_Document):
    """Rows whose verdict changes from one class to another."""

    before: str
    after: str
    rows: int
    mended: int
    """Wrong before, right after."""
    spoiled: int
    """Right before, wrong after."""


class ClassErrors(_Document):
    """Mistakes about one class. With two classes the last one is the positive one."""

    name: str
    false_positives_before: int
    false_positives_after: int
    """Rows of other classes that got this verdict."""
    false_negatives_before: int
    false_negatives_after: int
    """Rows of this class that got another verdict."""


class Comparison(_Document):
    """Two versions on the rows that both were tested on."""

    rows: int
    rows_before: int
    """Of the test split of the version that serves."""
    rows_after: int
    """Of the candidate's test split."""
    same_data: bool
    flips: tuple[Flip, ...]
    errors: tuple[ClassErrors, ...]

    @property
    def changed(self) -> int:
        """Rows whose verdict changes."""
        return sum(flip.rows for flip in self.flips)


@dataclass(frozen=True)
class Answers:
    """What a version answered on its test split, by row id; `probabilities` is [N, K]."""

    ids: list[str]
    labels: Verdicts
    probabilities: Probabilities


def compare(contracts: Sequence[BundleContract], answers: Sequence[Answers]) -> Comparison:
    """Returns the former and the candidate (each a contract and its answers) on the rows both have.

    Raises:
        AnswersUnreadable: the two do not have the same classes, or a row has two true classes.
    """
    former, candidate = contracts
    if former.classes != candidate.classes:
        raise AnswersUnreadable("The two versions have other classes.")
    old, new = answers
    places = {identity: row for row, identity in enumerate(new.ids)}
    shared = [(row, places[identity]) for row, identity in enumerate(old.ids) if identity in places]
    at_old = np.asarray([pair[0] for pair in shared], dtype=np.intp)
    at_new = np.asarray([pair[1] for pair in shared], dtype=np.intp)
    labels = old.labels[at_old]
    if not np.array_equal(labels, new.labels[at_new]):
        raise AnswersUnreadable("The two versions were tested on other labels for the same rows.")
    verdicts_old = verdicts(former, old.probabilities[at_old])
    verdicts_new = verdicts(candidate, new.probabilities[at_new])
    return Comparison(
        rows=len(shared),
        rows_before=len(old.ids),
        rows_after=len(new.ids),
        same_data=former.lineage.data_fingerprint == candidate.lineage.data_fingerprint,
        flips=tuple(_flips(former.classes, labels, verdicts_old, verdicts_new)),
        errors=tuple(_errors(former.classes, labels, verdicts_old, verdicts_new)),
    )


def verdicts(contract: BundleContract, probabilities: Probabilities) -> Verdicts:
    """Returns the class of each row by the bundle's threshold, or the most probable one; int64 [N]."""
    return decided(contract, probabilities.argmax(axis=1).astype(np.int64), probabilities)


def read_answers(path: Path, contract: BundleContract) -> Answers:
    """Returns the answers in the file that evaluation kept.

    Raises:
        AnswersUnreadable: it is not such a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        columns = [table[f"{PROBABILITY_PREFIX}{number}"] for number in range(len(contract.classes))]
        return Answers(
            ids=table[ID].to_pylist(),
            labels=table[LABEL].to_numpy().astype(np.int64),
            probabilities=np.stack([column.to_numpy() for column in columns], axis=1).astype(np.float64),
        )
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as exc:
        raise AnswersUnreadable(f"{path.name} of the tracked run is not what evaluation writes.") from exc


def _flips(classes: Sequence[str], labels: Verdicts, old: Verdicts, new: Verdicts) -> list[Flip]:
    found = []
    for before, before_name in enumerate(classes):
        for after, after_name in enumerate(classes):
            rows = (old == before) & (new == after)
            if before == after or not rows.any():
                continue
            found.append(
                Flip(
                    before=before_name,
                    after=after_name,
                    rows=int(rows.sum()),
                    mended=int((rows & (labels == after)).sum()),
                    spoiled=int((rows & (labels == before)).sum()),
                )
            )
    return found


def _errors(classes: Sequence[str], labels: Verdicts, old: Verdicts, new: Verdicts) -> list[ClassErrors]:
    judged = [len(classes) - 1] if len(classes) == _TWO else range(len(classes))
    return [
        ClassErrors(
            name=classes[number],
            false_positives_before=int(((old == number) & (labels != number)).sum()),
            false_positives_after=int(((new == number) & (labels != number)).sum()),
            false_negatives_before=int(((old != number) & (labels == number)).sum()),
            false_negatives_after=int(((new != number) & (labels == number)).sum()),
        )
        for number in judged
    ]
