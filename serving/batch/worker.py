"""The work on one part, as each process of the actor pool does it: read, score, write."""

import pickle
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from feature_repo.settings import FeatureRepoSettings
from kit.bundle import load
from kit.errors import SluiceError
from kit.home import Home
from serving.batch.output import Done, attempted, write_part
from serving.batch.rows import Limits
from serving.batch.scoring import History, Model
from serving.batch.source import Part

_ATTEMPTS: Final = 3
"""Processes that a part may end; Ray would begin it again without end."""


@dataclass(frozen=True)
class Job:
    """What every process of one batch scoring knows; it can be pickled."""

    home: Path
    out: Path
    model: str
    version: str
    bundle: Path
    """Where the verified bundle lies on the machine that asked."""
    bundle_digest: str
    limits: Limits
    reader: FeatureRepoSettings
    history_at: datetime | None
    mark: str


@dataclass(frozen=True)
class Failure:
    """Why a part has no file, in the words of the error that was met."""

    title: str
    message: str
    next_step: str | None


class PartWorker:
    """A process of the pool; it opens the model at its first part."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __call__(self, batch: pa.Table) -> dict[str, list[bytes]]:
        """Returns what became of each part; the form of a function for Ray Data's batches of one."""
        parts = (pickle.loads(each) for each in batch["part"].to_pylist())  # noqa: S301 - our own, from the driver
        return {"result": [pickle.dumps(self.result(number, part)) for number, part in parts]}

    def result(self, number: int, part: Part) -> Done | Failure:
        """Returns a part's numbers once its file is there, or why it is not."""
        try:
            if attempted(self._job.out, number) > _ATTEMPTS:
                return Failure(
                    "A process was ended again and again",
                    f"Part {number} of the input ended {_ATTEMPTS} processes.",
                    "Memory is a usual cause: try a smaller --concurrency.",
                )
            rows = part.read(self._job.limits)
            table, known = self._model.table(rows)
            return write_part(self._job.out, number, table, known, self._job.mark)
        except SluiceError as exc:
            return Failure(exc.title, exc.message, exc.next_step)
        except OSError as exc:
            where = exc.filename or self._job.out
            return Failure(
                "Part not read or written",
                f"Part {number}: {exc.strerror or type(exc).__name__} ({where}).",
                "Check the disk and its permissions.",
            )

    @cached_property
    def _model(self) -> Model:
        job, home = self._job, Home(self._job.home)
        if job.bundle.exists():
            bundle = load(job.bundle, digest=job.bundle_digest)
        else:  # another machine of the cluster
            from records.bundles import fetched
            from records.model_registry import opened

            bundle = fetched(opened(home), home, job.model, job.version)
        history = None if job.history_at is None else History(home, job.reader, job.history_at)
        return Model(bundle, job.version, job.reader, history)


def packed(number: int, part: Part) -> dict[str, Any]:
    """Returns a part as an item of a dataset of Ray Data."""
    return {"part": pickle.dumps((number, part))}
