"""What the gateway remembers: every prediction, off the request's path, and what people say of it."""

from typing import Final, NamedTuple

from gateway.asked import Caller
from gateway.measures import Measures
from gateway.memory.answered import Answered
from gateway.memory.database import Database
from gateway.memory.disk import Disk
from gateway.memory.documents import Remembered
from gateway.memory.recall import Recall
from gateway.memory.spool import Spool
from gateway.memory.writer import Writer
from gateway.settings import GatewaySettings
from kit.home import Home
from records.engine import Records
from records.repositories.feedback import Outcome

CLOSE_SECONDS: Final = 5.0
"""Longest that the end waits for the database; what is not there then goes to the spool."""

REASONS: Final = ("full", "invalid", "disk")
"""Why a prediction may be dropped (contracts.metrics.GATEWAY_RECORDS_DROPPED)."""


class State(NamedTuple):
    """How recording goes. A gateway that records to its spool, or not at all, is degraded and still ready."""

    degraded: bool
    reason: str | None
    """For people; None if all is well."""
    queued: int
    """Predictions in memory only."""
    spool_bytes: int
    spool_limit_bytes: int


class Memory:
    """Remembers predictions. Made on the event loop's thread; `record` is called there too.

    `records` stay open as long as this, and are closed by whoever opened them.
    """

    def __init__(self, settings: GatewaySettings, records: Records, measures: Measures, home: Home) -> None:
        self._recording = settings.record
        self._limit = settings.spool_max_bytes
        self._close_seconds = min(settings.drain_seconds, CLOSE_SECONDS)
        self._disk = Disk(
            Spool(
                settings.spool or home.root / "gateway" / "spool",
                max_bytes=settings.spool_max_bytes,
                fsync=settings.spool_fsync,
                fsync_seconds=settings.spool_fsync_seconds,
            )
        )
        self._database = Database(
            records, measures.records_written, measures.records_dropped.labels("invalid")
        )
        self._writer = Writer(settings, self._database, self._disk, measures)
        self._recall = Recall(
            records,
            self._writer.caught_up,
            measures.keys_refused.labels("scope"),
            answer_seconds=settings.timeout_seconds,
        )
        measures.records_queued.set_function(lambda: self._writer.queued)
        measures.spool_bytes.set_function(lambda: self._disk.bytes)
        measures.spool_limit_bytes.set(settings.spool_max_bytes)
        for reason in REASONS:  # an increase from nothing can only be seen of what is there
            measures.records_dropped.labels(reason)

    async def start(self) -> None:
        """Begins to write. A database or a disk that does not answer keeps nobody from starting."""
        if self._recording:
            await self._writer.start()

    async def close(self) -> None:
        """Writes all that was recorded: to the database within seconds, or to the spool. Nothing is lost."""
        if self._recording:
            await self._writer.close(self._close_seconds)

    def record(self, answered: Answered) -> None:
        """Takes one answer; returns at once, never waits and never raises. What cannot be kept is counted."""
        if self._recording:
            self._writer.record(answered)

    async def flushed(self) -> None:
        """Returns when all that was recorded is in the database or in the spool."""
        await self._writer.caught_up()

    async def feedback(self, caller: Caller, request_id: str, label: str) -> Outcome:
        """Keeps what the message of a request really was, and returns what that changed.

        The latest submission wins, and the same one again changes nothing. An id that is not known is taken:
        its prediction may still be on its way.

        Raises:
            ValidationFailed: the id or the label cannot be one.
            ScopeMissing: the key is not for the prediction's environment or model.
            RecordsDown: the records do not answer.
        """
        return await self._recall.feedback(caller, request_id, label)

    async def prediction(self, caller: Caller, request_id: str) -> Remembered:
        """Returns what was answered under `request_id`, by what, and what people said.

        Raises:
            PredictionUnknown: nothing is remembered under this id.
            ScopeMissing: the key is not for its environment or model.
            RecordsDown: the records do not answer.
        """
        return await self._recall.prediction(caller, request_id)

    def state(self) -> State:
        """Returns how recording goes; asks nobody."""
        troubles = [self._database.trouble] if self._database.trouble else []
        if self._disk.trouble:
            troubles.append(f"The spool cannot be written: {self._disk.trouble}.")
        return State(
            degraded=bool(troubles),
            reason=" ".join(troubles) or None,
            queued=self._writer.queued,
            spool_bytes=self._disk.bytes,
            spool_limit_bytes=self._limit,
        )

    @property
    def kept(self) -> int:
        """How many of the answers taken, in their order, outlive the end of this process."""
        return self._writer.kept
