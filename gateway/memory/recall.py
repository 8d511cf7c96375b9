"""Asking the records about a prediction, and telling them what a message really was.

Both may be asked right after the answer, so what this process still holds in memory is written first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import structlog
from prometheus_client import Counter

from gateway.asked import Caller
from gateway.errors import PredictionUnknown, RecordsDown, ScopeMissing, ValidationFailed
from gateway.memory.documents import CLASSES, Remembered, remembered
from kit.errors import OperationalError
from records.engine import Records
from records.errors import RecordRejected
from records.repositories import feedback, predictions
from records.repositories.feedback import NewFeedback, Outcome
from records.tables import PredictionLog
from records.tables.registry import REQUEST_ID_LENGTH, VERSION_LENGTH

_ASK: Final = "Ask for a key with this scope."
CATCH_UP_SECONDS: Final = 0.5
"""Longest wait for what this process holds in memory to be written, if an id is not known."""


class Recall:
    """The records of predictions as callers of the gateway see them."""

    def __init__(
        self,
        records: Records,
        caught_up: Callable[[], Awaitable[None]],
        refused: Counter,
        *,
        answer_seconds: float,
    ) -> None:
        """Keeps `refused`, which counts keys that do not reach what they ask for."""
        self._refused = refused
        self._records = records
        self._caught_up = caught_up
        self._answer_seconds = answer_seconds
        self._log = structlog.get_logger(__name__)

    async def feedback(self, caller: Caller, request_id: str, label: str) -> Outcome:
        """Keeps what the message of a request really was; the latest submission wins.

        Raises:
            ValidationFailed: there is no such id or class.
            ScopeMissing: the key does not reach the prediction's environment or model.
            RecordsDown: the records do not answer.
        """
        _require("request_id", request_id, REQUEST_ID_LENGTH)
        _require("label", label, VERSION_LENGTH)
        async with self._answering():
            prediction = await self._found(request_id)
            if prediction is not None:
                self._permit(caller, prediction)
                _require_class(prediction.model_name, label)
            now = datetime.now(UTC)
            said = NewFeedback(
                request_id=request_id, label=label, created_at=now, submitted_by=caller.name or None
            )
            async with self._records.transaction() as session:
                return await feedback.submit(session, said, recorded_at=now)

    async def prediction(self, caller: Caller, request_id: str) -> Remembered:
        """Returns what was answered under `request_id`, and by what.

        Raises:
            PredictionUnknown: nothing is remembered under this id.
            ScopeMissing: the key does not reach its environment or model.
            RecordsDown: the records do not answer.
        """
        async with self._answering():
            prediction = await self._found(request_id)
            if prediction is None:
                raise PredictionUnknown(
                    "No prediction is remembered under this request id.",
                    next_step="If it was answered just now, ask again: it may wait to be written.",
                )
            self._permit(caller, prediction)
            async with self._records.reading() as session:
                said = await feedback.by_request_id(session, request_id)
                shadows = await predictions.shadows_of(session, request_id)
        allowed = [shadow for shadow in shadows if shadow.environment in caller.environments]
        return remembered(prediction, said, allowed)

    async def _found(self, request_id: str) -> PredictionLog | None:
        if not request_id.strip() or len(request_id) > REQUEST_ID_LENGTH:
            return None
        found = await self._read(request_id)
        if found is not None:
            return found
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._caught_up()
        except TimeoutError:
            return None
        return await self._read(request_id)

    async def _read(self, request_id: str) -> PredictionLog | None:
        async with self._records.reading() as session:
            return await predictions.by_request_id(session, request_id)

    def _permit(self, caller: Caller, prediction: PredictionLog) -> None:
        if prediction.environment not in caller.environments:
            self._refused.inc()
            raise ScopeMissing(
                f"The key {caller.name} is not for predictions of {prediction.environment}.", next_step=_ASK
            )
        if caller.models is not None and prediction.model_name not in caller.models:
            self._refused.inc()
            raise ScopeMissing(
                f"The key {caller.name} is not for the model of this prediction.", next_step=_ASK
            )

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._answer_seconds):
                yield
        except RecordRejected as error:
            raise ValidationFailed("The records do not take this.", next_step=error.next_step) from error
        except (OperationalError, TimeoutError) as error:
            self._log.warning("records_not_asked", reason=str(error) or type(error).__name__)
            raise RecordsDown(
                "The records of predictions do not answer.", next_step="Try again; nothing is lost by it."
            ) from error


def _require(field: str, value: str, longest: int) -> None:
    if not value.strip() or len(value) > longest:
        raise ValidationFailed(
            f"{field} must have 1 to {longest} characters.",
            faults=[{"field": field, "reason": f"must have 1 to {longest} characters"}],
        )


def _require_class(model: str, label: str) -> None:
    classes = CLASSES.get(model)
    if classes is not None and label not in classes:
        words = " or ".join(sorted(classes))
        raise ValidationFailed(
            f"The label must be {words}.", faults=[{"field": "label", "reason": f"must be {words}"}]
        )
