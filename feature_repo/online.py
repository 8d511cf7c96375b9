"""Sender history at serving time: addresses in, the 8 numbers out, with our own age limit.

Feast does not apply a view's ttl online (feast-dev/feast#6821), so the age is checked here: history counts up
to and including `history_max_age_days`, exactly as it does in `get_historical_features`.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from contracts.features import SENDER_FEATURES
from contracts.metrics import SENDER_LOOKUP_SECONDS, SENDER_LOOKUPS
from feature_repo import online_rows
from feature_repo.addresses import address
from feature_repo.offline_files import SIDES, Side
from feature_repo.online_rows import Row
from feature_repo.sender_numbers import SenderHistory, sender_numbers
from feature_repo.store import OnlineStoreUnavailable, SenderStore
from kit import metrics


class Outcome(StrEnum):
    """What a lookup of one sender or one domain came to; all but `found` are answered with defaults."""

    FOUND = "found"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    FAILED = "failed"


class Answer(NamedTuple):
    """How the lookup of one entity of one message went; `age` is None without a row."""

    outcome: Outcome
    age: timedelta | None


class Found(NamedTuple):
    """The answer for N senders: float32 [N, 8], and for each entity name what became of each sender."""

    numbers: NDArray[np.float32]
    answers: dict[str, tuple[Answer, ...]]


_NONE: Final = Answer(Outcome.UNKNOWN, None)


class SenderLookup:
    """Looks up sender history in the online store, and counts what came of it in `registry`.

    Share of defaulted lookups: the rate of SENDER_LOOKUPS with an outcome other than `found`, over the rate
    of all, by entity. One object serves many threads.
    """

    def __init__(self, store: SenderStore, registry: CollectorRegistry) -> None:
        self._store = store
        self._count = metrics.counter(SENDER_LOOKUPS, registry)
        self._seconds = metrics.histogram(SENDER_LOOKUP_SECONDS, registry)

    def lookup(self, senders: Sequence[str], at: datetime) -> NDArray[np.float32]:
        """Returns the 8 sender numbers of each From address at `at`, float32 [N, 8].

        Raises:
            OnlineStoreUnavailable: the store does not answer; counted as failed for each sender.
        """
        return self.found(senders, at).numbers

    def history(self, senders: Sequence[str], at: datetime) -> SenderHistory:
        """Returns the numbers as `lookup` does, and of whom anything is known; no answer is missing.

        Raises:
            OnlineStoreUnavailable: as `lookup`.
        """
        found = self.found(senders, at)
        known = np.zeros(len(senders), dtype=np.bool_)
        for answers in found.answers.values():
            known |= np.array([answer.outcome is Outcome.FOUND for answer in answers], dtype=np.bool_)
        return SenderHistory(found.numbers, np.zeros(len(senders), dtype=np.int64), known)

    def found(self, senders: Sequence[str], at: datetime) -> Found:
        """Returns the numbers as `lookup` does, and how each of them was found.

        Raises:
            OnlineStoreUnavailable: as `lookup`.
        """
        start = time.perf_counter()
        addresses = [address(sender) for sender in senders]
        stored = np.full((len(addresses), len(SENDER_FEATURES)), np.nan)
        answers: dict[str, tuple[Answer, ...]] = {}
        first = 0
        for side, keys in zip(SIDES, zip(*addresses, strict=True) if addresses else ((), ()), strict=True):
            last = first + len(side.columns)
            rows = self._rows(side, keys)
            judged = []
            for index, key in enumerate(keys):
                row = rows.get(key)
                answer = self._judged(row, at)
                if row is not None and answer.outcome is Outcome.FOUND:
                    stored[index, first:last] = row.values
                judged.append(answer)
            answers[side.entity] = tuple(judged)
            first = last
        for entity, given in answers.items():
            self._counted(entity, [answer.outcome for answer in given])
        self._seconds.observe(time.perf_counter() - start)
        return Found(sender_numbers(stored), answers)

    def _rows(self, side: Side, keys: Sequence[str]) -> dict[str, Row | None]:
        unique = list(dict.fromkeys(key for key in keys if key))
        if not unique:
            return {}
        try:
            return dict(zip(unique, online_rows.read(self._store, side, unique), strict=True))
        except OnlineStoreUnavailable:
            # The caller gets no numbers at all, so both entities of every message have failed.
            for each in SIDES:
                self._counted(each.entity, [Outcome.FAILED] * len(keys))
            raise

    def _judged(self, row: Row | None, at: datetime) -> Answer:
        if row is None:
            return _NONE
        age = at - row.since
        return Answer(Outcome.EXPIRED if age > self._store.max_age else Outcome.FOUND, age)

    def _counted(self, entity: str, outcomes: Sequence[Outcome]) -> None:
        for outcome in set(outcomes):
            self._count.labels(entity, outcome.value).inc(outcomes.count(outcome))
