"""From e-mails to answers: extraction, the senders' history, the model; no HTTP here."""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from feature_repo.senders import Senders
from kit.email_inference import InferenceRequest, Values
from serving.explanations import Explainer
from serving.extraction import NUMERIC, model_inputs
from serving.facts import facts, text_statistics
from serving.transformer.errors import PredictorDown
from serving.transformer.extraction_pool import ExtractionPool
from serving.transformer.keeper import Keeper
from serving.transformer.measures import Measures
from serving.transformer.versions import Served, predictor_rows
from serving.verdicts import verdicts

EXPLANATION: Final = "explanation"
STATISTICS: Final = "text_statistics"
FACTS: Final = "facts"


class Answering:
    """What the application asks to answer a request; its parts are made and ended by the caller."""

    def __init__(self, keeper: Keeper, pool: ExtractionPool, senders: Senders, measures: Measures) -> None:
        self._keeper = keeper
        self._pool = pool
        self._senders = senders
        self._measures = measures
        self._explaining = ThreadPoolExecutor(1, thread_name_prefix="explanations")

    async def answered(
        self, request: InferenceRequest, served: Served, deadline: float
    ) -> tuple[Mapping[str, Values], Served]:
        """Returns each wanted output by name, and the version that gave them.

        That is `served`, unless Triton has given it up meanwhile for the version that is now the current one.
        The caller holds `served` in use, and keeps the deadline, which is in the loop's time.

        Raises:
            EmailRefused: an element is to be structured, and is not.
            NotExplainable: an explanation is wanted, and the bundle has none.
            OperationalError: a neighbour does not do its part.
        """
        begun = time.perf_counter()
        messages = await self._pool.extracted(request.emails, request.structured)
        self._measures.extraction_seconds.observe(time.perf_counter() - begun)
        self._measures.messages.inc(len(messages))
        senders = await self._senders.history([message.sender for message in messages])
        inputs = model_inputs(messages, senders.numbers)
        numeric = np.asarray(inputs[NUMERIC], dtype=np.float32)
        rows = predictor_rows([message.text for message in messages], numeric)
        try:
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
        probabilities = np.array([row for _, row in results], dtype=np.float32)
        values: dict[str, Values] = {
            "probability": probabilities[:, -1],
            "label": labels,
            "verdict": verdicts(served.bundle.contract, labels, probabilities),
        }
        wanted = request.names
        if NUMERIC in wanted:
            values[NUMERIC] = numeric
        if wanted & {STATISTICS, FACTS}:
            statistics = [text_statistics(message, served.vocabulary) for message in messages]
            values[STATISTICS] = [orjson.dumps(told).decode() for told in statistics]
        if FACTS in wanted:
            contract = served.bundle.contract
            values[FACTS] = [
                facts(message, defaulted, told, contract).model_dump_json()
                for message, defaulted, told in zip(
                    messages, senders.defaulted.tolist(), statistics, strict=True
                )
            ]
        if EXPLANATION in wanted:
            values[EXPLANATION] = await asyncio.get_running_loop().run_in_executor(
                self._explaining, _explanations, served, inputs
            )
        return values, served

    def close(self) -> None:
        """Ends what explains."""
        self._explaining.shutdown(wait=False, cancel_futures=True)


def _explanations(served: Served, inputs: Mapping[str, NDArray[Any]]) -> list[str]:
    # One thread explains, so that nobody makes the explainer of a version twice.
    if served.explainer is None:
        served.explainer = Explainer(served.bundle)
    return [explanation.model_dump_json() for explanation in served.explainer.explain(inputs)]
