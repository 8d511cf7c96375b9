"""Rows to answers: what a part comes to, by the code that answers online."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from feature_repo.settings import FeatureRepoSettings
from kit.bundle import Bundle
from kit.home import Home
from kit.onnx_function import OnnxFunction
from serving.batch.rows import Problem, Rows
from serving.extraction import EmailRefused, Extracted, extract_element, model_inputs, unknown_senders
from serving.verdicts import verdicts

SCHEMA: Final = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("probability", pa.float32()),
        pa.field("probabilities", pa.list_(pa.float32())),
        pa.field("label", pa.int64()),
        pa.field("verdict", pa.string()),
        pa.field("problem", pa.string()),
        pa.field("model", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("schema_digest", pa.string(), nullable=False),
        pa.field("bundle_digest", pa.string(), nullable=False),
        pa.field("history_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""The columns of an output; docs/batch.md says what each is."""


class Answers(NamedTuple):
    """What the model says of N rows; of one with a problem, it means nothing."""

    probabilities: NDArray[np.float32]
    """Float32 [N, classes]."""
    labels: NDArray[np.int64]
    problems: list[Problem | None]
    known_senders: int
    """Rows whose sender had a history."""


@dataclass(frozen=True)
class History:
    """Where the history of senders is looked up, and as of when."""

    home: Home
    at: datetime


@dataclass
class Model:
    """A bundle that answers rows; ONNX Runtime and the store of histories are opened when they are needed."""

    bundle: Bundle
    version: str
    reader: FeatureRepoSettings
    history: History | None
    """None takes every sender for unknown."""
    _graph: OnnxFunction = field(init=False)
    _lookup: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._graph = OnnxFunction(self.bundle.model.read_bytes())

    def answers(self, rows: Rows) -> Answers:
        """Returns what the model says.

        Raises:
            OnlineStoreUnavailable: histories are asked for, and the store does not answer.
        """
        problems, known = list(rows.problems), 0
        messages: list[Extracted] = []
        inputs: Any = rows.inputs
        if not inputs:
            messages = [self._extracted(raw, at, problems) for at, raw in enumerate(rows.messages)]
            senders, known = self._senders(messages)
            inputs = model_inputs(messages, senders)
        # A batch is padded to its longest text: rows of like length together take a fifth less time.
        lengths = [len(message.text) for message in messages]
        order = np.argsort(lengths, kind="stable") if lengths else np.arange(len(rows))
        found = self._graph({name: values[order] for name, values in inputs.items()})
        back = np.argsort(order)
        return Answers(found["probabilities"][back], found["label"][back], problems, known)

    def table(self, rows: Rows) -> tuple[pa.Table, int]:
        """Returns the rows of the output, columns of SCHEMA, and how many senders had a history.

        Raises:
            OnlineStoreUnavailable: as `answers`.
        """
        answers = self.answers(rows)
        answered = np.array([problem is None for problem in answers.problems], dtype=bool)
        contract = self.bundle.contract
        count = len(rows)
        scores = [
            row if said else None for row, said in zip(answers.probabilities.tolist(), answered, strict=True)
        ]
        decided = verdicts(contract, answers.labels, answers.probabilities)
        columns = {
            "id": rows.ids,
            "sha256": rows.sha256,
            "probability": pa.array(answers.probabilities[:, -1], mask=~answered),
            "probabilities": scores,
            "label": pa.array(answers.labels, mask=~answered),
            "verdict": [name if said else None for name, said in zip(decided, answered, strict=True)],
            "problem": [None if problem is None else problem.value for problem in answers.problems],
            "model": [contract.workload] * count,
            "version": [self.version] * count,
            "schema_digest": [contract.schema_digest] * count,
            "bundle_digest": [self.bundle.digest] * count,
            "history_at": [self.history.at if self.history else None] * count,
        }
        return pa.table(columns, schema=SCHEMA), answers.known_senders

    def _extracted(self, raw: bytes, at: int, problems: list[Problem | None]) -> Extracted:
        try:
            return extract_element(raw, self.reader)
        except EmailRefused:
            problems[at] = problems[at] or Problem.REFUSED
            return extract_element(b"", self.reader)

    def _senders(self, messages: Sequence[Extracted]) -> tuple[NDArray[np.float32], int]:
        if self.history is None:
            return unknown_senders(len(messages)), 0
        if self._lookup is None:
            from feature_repo.online import SenderLookup
            from feature_repo.store import open_store

            self._lookup = SenderLookup(open_store(self.history.home, self.reader), CollectorRegistry())
        found = self._lookup.found([message.sender for message in messages], self.history.at)
        outcomes = zip(*found.answers.values(), strict=True)
        return found.numbers, sum(any(each.outcome == "found" for each in answers) for answers in outcomes)
