"""Writing rows to the records: in small steps, one bad row never at the cost of the others."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import structlog
from prometheus_client import Counter

from kit.errors import OperationalError
from records.engine import Records
from records.errors import RecordRejected, RecordsUnavailable
from records.repositories import predictions
from records.repositories.predictions import NewPrediction

ROWS_PER_STEP: Final = 25
"""Rows that are made into SQL at once, in which time nothing else is answered; 50 took up to 11 ms of CPU."""
WRITE_SECONDS: Final = 40
"""Longest a transaction may take. Readers stay a minute behind, and must not pass one that is open."""


class Database:
    """The table `prediction_logs`, and whether it took the last rows it was given."""

    def __init__(self, records: Records, written: Counter, invalid: Counter) -> None:
        self._records = records
        self._written = written
        self._invalid = invalid
        self._log = structlog.get_logger(__name__)
        self.trouble: str | None = None
        """Why the last write failed, for people; None if it did not, or there was none."""

    async def write(self, rows: Sequence[NewPrediction]) -> bool:
        """Writes `rows` and returns True; False if the database does not take them now, which is logged.

        A row that no table holds is left out and counted. Rows that are there already change nothing.
        """
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                new = await self._inserted(rows)
        except RecordRejected:
            return await self._written_singly(rows)
        except TimeoutError:
            self._failed(RecordsUnavailable(f"A write took longer than {WRITE_SECONDS} s."))
            return False
        except OperationalError as error:
            self._failed(error)
            return False
        except Exception as error:  # noqa: BLE001 - the outermost handler: no bug may cost a row
            self._failed(error)
            return False
        self._written.inc(new)
        if self.trouble is not None:
            self.trouble = None
            self._log.info("records_written_again")
        return True

    async def _inserted(self, rows: Sequence[NewPrediction]) -> int:
        new = 0
        source = iter(rows)
        async with self._records.transaction() as session:
            await session.connection()  # the wait for it is no part of `recorded_at`
            recorded_at = datetime.now(UTC)
            while step := list(islice(source, ROWS_PER_STEP)):
                new += await predictions.insert_many(session, step, recorded_at=recorded_at)
        return new

    async def _written_singly(self, rows: Sequence[NewPrediction]) -> bool:
        for row in rows:
            try:
                self._written.inc(await self._inserted([row]))
            except RecordRejected as error:
                self._invalid.inc()
                self._log.warning("record_refused_by_database", reason=error.message)
            except OperationalError as error:
                self._failed(error)
                return False
        return True

    def _failed(self, error: Exception) -> None:
        known = isinstance(error, OperationalError)
        told = str(error) if known else type(error).__name__
        if told == self.trouble:
            return
        self.trouble = told
        if isinstance(error, OperationalError):
            self._log.warning(
                "records_not_written", code=error.code, reason=error.message, next_step=error.next_step
            )
        else:
            self._log.error("records_not_written", code="internal_error", exc_info=error)
