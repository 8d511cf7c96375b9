"""What an answer leaves behind: a row in the records for each e-mail or row, and a count of defaults."""

from collections.abc import Sequence
from datetime import UTC, datetime

from contracts.environments import Environment
from gateway.asked import Asked
from gateway.backends.backend import Row
from gateway.measures import Measures
from gateway.memory.answered import Answered, Recorder


class Remembering:
    """Hands answers to the records; nothing here waits or fails."""

    def __init__(self, recorder: Recorder, measures: Measures) -> None:
        self._recorder = recorder
        self._defaulted = {
            environment: measures.defaulted_features.labels(environment.value) for environment in Environment
        }

    def keep(
        self, asked: Asked, version: str, rows: Sequence[Row], ids: Sequence[str], latency: float
    ) -> None:
        """Keeps `rows`, answered by `version` in `latency` seconds under the request ids `ids`."""
        now = datetime.now(UTC)
        defaulted = 0
        for name, row in zip(ids, rows, strict=True):
            defaulted += row.facts.defaulted_features
            self._recorder.record(
                Answered(
                    request_id=name,
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
                )
            )
        if defaulted:
            self._defaulted[asked.environment].inc(defaulted)


def ids_of(request_id: str, count: int) -> Sequence[str]:
    """Returns the ids of the rows of one request: its own if there is one row, else numbered from 0."""
    return (request_id,) if count == 1 else [f"{request_id}.{index}" for index in range(count)]
