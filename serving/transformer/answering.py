"""From e-mails to answers: extraction, the senders' history, the model; no HTTP here."""

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson

from serving.extraction import NUMERIC, Extracted, model_inputs
from serving.transformer.errors import PredictorDown
from serving.transformer.extraction_pool import ExtractionPool
from serving.transformer.keeper import Keeper
from serving.transformer.measures import Measures
from serving.transformer.senders import Senders
from serving.transformer.versions import Served, predictor_rows
from serving.transformer.wire import InferenceRequest, Values

EXPLANATION: Final = "explanation"
STATISTICS: Final = "text_statistics"


class Answering:
    """What the application asks to answer a request; its parts are made and ended by the caller."""

    def __init__(self, keeper: Keeper, pool: ExtractionPool, senders: Senders, measures: Measures) -> None:
        self._keeper = keeper
        self._pool = pool
        self._senders = senders
        self._measures = measures

    async def answered(
        self, request: InferenceRequest, served: Served, deadline: float
    ) -> tuple[Mapping[str, Values], Served]:
        """Returns each wanted output by name, and the version that gave them.

        That is `served`, unless Triton has given it up meanwhile for the version that is now the current one.
        `deadline` is in the loop's time; the caller keeps it.

        Raises:
            EmailRefused: an element is to be structured, and is not.
            OperationalError: a neighbour does not do its part.
        """
        begun = time.perf_counter()
        messages = await self._pool.extracted(request.emails, request.structured)
        self._measures.extraction_seconds.observe(time.perf_counter() - begun)
        self._measures.messages.inc(len(messages))
        senders = await self._senders.numbers([message.sender for message in messages])
        numeric = model_inputs(messages, senders)[NUMERIC]
        rows = predictor_rows([message.text for message in messages], numeric)
        try:
            with served.in_use():
                results = await served.rows.results(rows, deadline)
        except PredictorDown:
            self._keeper.doubt()
            current = self._keeper.version()
            if current is served:
                raise
            served = current
            with served.in_use():
                results = await served.rows.results(rows, deadline)
        labels = np.array([label for label, _ in results], dtype=np.int64)
        probabilities = np.array([probability for _, probability in results], dtype=np.float32)
        values: dict[str, Values] = {
            "probability": probabilities,
            "label": labels,
            "verdict": served.verdicts(labels, probabilities),
        }
        wanted = request.names
        if NUMERIC in wanted:
            values[NUMERIC] = np.asarray(numeric, dtype=np.float32)
        if STATISTICS in wanted:
            values[STATISTICS] = [_statistics(message, served) for message in messages]
        return values, served


def _statistics(message: Extracted, served: Served) -> str:
    told: dict[str, Any] = {
        "token_count": message.statistics.token_count,
        "character_count": message.statistics.character_count,
        "unique_share": message.statistics.unique_share,
        "placeholder_share": message.statistics.placeholder_share,
        "known_share": served.vocabulary.known_share(message.text),
    }
    return orjson.dumps(told).decode()
