"""What an answer leaves behind: a row in the records for each e-mail or row, and a count of defaults."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from contracts.environments import Environment
from gateway.asked import Asked
from gateway.backends.backend import Email, Predictions, Row
from gateway.measures import Measures
from gateway.memory.answered import Answered, Recorder

SHADOW: Final = "~shadow"
"""Ends the request id of a mirrored copy."""


class Remembering:
    """Hands answers to the records; nothing here waits or fails."""

    def __init__(self, recorder: Recorder, measures: Measures) -> None:
        self._recorder = recorder
        self._defaulted = {
            environment: measures.defaulted_features.labels(environment.value) for environment in Environment
        }

    def keep(
        self,
        asked: Asked,
        version: str,
        rows: Sequence[Row],
        ids: Sequence[str],
        latency: float,
        *,
        mirrored: bool = False,
    ) -> None:
        """Keeps `rows`, answered by `version` in `latency` seconds under the request ids `ids`.

        Of mirrored copies, `ids` are those of what they are copies of.
        """
        now = datetime.now(UTC)
        defaulted = 0
        for name, row in zip(ids, rows, strict=True):
            defaulted += row.facts.defaulted_features
            self._recorder.record(
                Answered(
                    request_id=f"{name}{SHADOW}" if mirrored else name,
                    created_at=now,
                    environment=asked.environment,
                    model=asked.model,
                    version=version,
                    facts=row.facts,
                    numeric=row.numeric,
                    probability=row.probability,
                    label=row.label,
                    latency_seconds=latency,
                    message_sha256=row.message_sha256,
                    shadow_of=name if mirrored else None,
                )
            )
        if defaulted and not mirrored:
            self._defaulted[asked.environment].inc(defaulted)


def rows_of(emails: Sequence[Email], predictions: Predictions) -> Sequence[Row]:
    """Returns what is to be remembered of e-mails and their answers."""
    return [
        Row(
            prediction.probability,
            prediction.verdict,
            prediction.numeric,
            prediction.facts,
            hashlib.sha256(email.data).hexdigest(),
        )
        for email, prediction in zip(emails, predictions.items, strict=True)
    ]


def ids_of(request_id: str, count: int) -> Sequence[str]:
    """Returns the ids of the rows of one request: its own if there is one row, else numbered from 0."""
    return (request_id,) if count == 1 else [f"{request_id}.{index}" for index in range(count)]
