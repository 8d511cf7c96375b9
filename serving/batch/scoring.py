"""Rows to answers: what a part comes to, by the code that answers online."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from contracts.facts import KNOWN_SHARE
from feature_repo.sender_numbers import SenderHistory
from feature_repo.settings import FeatureRepoSettings
from kit.bundle import Bundle
from kit.home import Home
from kit.onnx_function import OnnxFunction
from serving.batch.rows import Problem, Rows
from serving.extraction import EmailRefused, Extracted, extract_element
from serving.scorer import Scorer
from serving.verdicts import verdicts

SCHEMA: Final = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("probability", pa.float32()),
        pa.field("probabilities", pa.list_(pa.float32())),
        pa.field("label", pa.int64()),
        pa.field("verdict", pa.string()),
        pa.field(KNOWN_SHARE, pa.float64()),
        pa.field("problem", pa.string()),
        pa.field("model", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("schema_digest", pa.string(), nullable=False),
        pa.field("bundle_digest", pa.string(), nullable=False),
        pa.field("history_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""The columns of an output; docs/batch.md says what each is."""


_NO_INSTANT: Final = datetime.min.replace(tzinfo=UTC)
"""Where nothing is looked up."""


class Answers(NamedTuple):
    """What the model says of N rows; of one with a problem, it means nothing."""

    probabilities: NDArray[np.float32]
    """Float32 [N, classes]."""
    labels: NDArray[np.int64]
    known_shares: list[float | None]
    """Of each row's text, the share of tokens that the model knows; None of a model that reads no text."""
    problems: list[Problem | None]
    known_senders: int
    """Rows whose sender had a history."""


@dataclass
class History:
    """The histories of senders as of one instant, and how many of the senders had one."""

    home: Home
    reader: FeatureRepoSettings
    at: datetime
    known: int = 0

    def of(self, senders: Sequence[str], at: datetime) -> SenderHistory:
        """Returns what is known of each sender, and counts in `known` of whom there is anything.

        Raises:
            OnlineStoreUnavailable: the store does not answer.
        """
        found: SenderHistory = self._lookup.history(senders, at)
        self.known += int(found.known.sum())
        return found

    @cached_property
    def _lookup(self) -> Any:
        # Importing Feast takes seconds.
        from feature_repo.online import SenderLookup
        from feature_repo.store import open_store

        return SenderLookup(open_store(self.home, self.reader), CollectorRegistry())


@dataclass
class Model:
    """A bundle that answers rows; the graph is opened when it is first asked."""

    bundle: Bundle
    version: str
    reader: FeatureRepoSettings
    history: History | None
    """None takes every sender for unknown."""

    def answers(self, rows: Rows) -> Answers:
        """Returns what the model says.

        Raises:
            OnlineStoreUnavailable: histories are asked for, and the store does not answer.
        """
        problems = list(rows.problems)
        if rows.inputs:
            found = self._graph(rows.inputs)
            return Answers(found["probabilities"], found["label"], [None] * len(rows), problems, 0)
        messages = [self._extracted(raw, at, problems) for at, raw in enumerate(rows.messages)]
        if self.history is None:
            scores, known = self._scorer.scored(messages, _NO_INSTANT), 0
        else:
            before = self.history.known
            scores = self._scorer.scored(messages, self.history.at)
            known = self.history.known - before
        shares = [facts.text_statistics.get(KNOWN_SHARE) for facts in scores.facts]
        return Answers(scores.probabilities, scores.labels, shares, problems, known)

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
            KNOWN_SHARE: pa.array(answers.known_shares, pa.float64(), mask=~answered),
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

    @cached_property
    def _graph(self) -> OnnxFunction:
        return OnnxFunction(self.bundle.model.read_bytes())

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self.bundle, self.reader, None if self.history is None else self.history.of)
