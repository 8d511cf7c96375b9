"""Triton as the transformer asks it: kept connections, always a named version, always a deadline.

Rows of several requests go together (kit.coalescing), each call with at most the rows of one batch. The
protocol's HTTP with binary tensors, not its gRPC: a call through grpc.aio took 0.5 ms longer and three times
the processor time (measured at one connection). Failures become ours here and nowhere else.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np
import orjson
from numpy.typing import NDArray
from prometheus_client import Histogram

from contracts.headers import INFERENCE_HEADER_LENGTH
from contracts.tensors import PREDICTOR_INPUTS, PREDICTOR_OUTPUTS, Tensor
from kit.email_inference import packed
from kit.http_exchange import Answer, Exchange, NotHttp
from serving.transformer.errors import DeadlinePassed, PredictorDown, PredictorFailed

_LEAST_SECONDS: Final = 0.001
_OK: Final = 200
_GONE: Final = frozenset({404, 429, 503})
"""It has no such version (any more), or takes no more requests."""
_LENGTH: Final = INFERENCE_HEADER_LENGTH.lower().encode()
_OUTPUTS: Final = [{"name": tensor.name, "parameters": {"binary_data": True}} for tensor in PREDICTOR_OUTPUTS]
_DTYPES: Final = {"FP32": "<f4", "INT64": "<i8"}


class PredictorRow(NamedTuple):
    """One row of the model's inputs, as bytes of the wire."""

    text: bytes
    numeric: bytes


class Predictor:
    """Connections to one Triton; they are made when they are needed, and again when they were lost."""

    def __init__(self, address: str, seconds: Histogram, rows: Histogram) -> None:
        self.address = address
        self._seconds = seconds
        self._rows = rows
        self._exchange = Exchange(address)

    async def infer(
        self, model: str, version: str, rows: Sequence[PredictorRow], deadline: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Returns `label` [N] and `probabilities` [N, classes] of `rows`; `deadline` is in the loop's time.

        Raises:
            PredictorDown: Triton does not answer, or has no such version.
            PredictorFailed: it answers with an error, or with other tensors than the contract's.
            DeadlinePassed: it did not answer in time.
        """
        begun = time.perf_counter()
        head, body = _request(rows)
        headers = {INFERENCE_HEADER_LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}
        path = f"/v2/models/{model}/versions/{version}/infer"
        answer = await self._answer("POST", path, deadline, headers, head + body)
        self._seconds.observe(time.perf_counter() - begun)
        self._rows.observe(len(rows))
        label, probabilities = _values(answer, version, len(rows))
        return label, probabilities

    async def metadata(self, model: str, version: str, deadline: float) -> Mapping[str, Any]:
        """Returns Triton's description of the version's tensors.

        Raises:
            PredictorDown, PredictorFailed, DeadlinePassed: as in `infer`.
        """
        answer = await self._answer("GET", f"/v2/models/{model}/versions/{version}", deadline)
        try:
            found: Mapping[str, Any] = orjson.loads(answer.body)
        except orjson.JSONDecodeError as exc:
            raise PredictorFailed("The model server's description of the model is no JSON.") from exc
        return found

    async def ready(self, model: str, version: str, deadline: float) -> bool:
        """Tells whether this very version takes requests; False too if nobody answers."""
        try:
            await self._answer("GET", f"/v2/models/{model}/versions/{version}/ready", deadline)
        except (PredictorDown, PredictorFailed, DeadlinePassed):
            return False
        return True

    async def close(self) -> None:
        """Closes the connections; calls under way end first."""
        self._exchange.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _answer(
        self,
        method: str,
        path: str,
        deadline: float,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        if deadline - asyncio.get_running_loop().time() < _LEAST_SECONDS:
            raise DeadlinePassed("The time for an answer was over before the model was asked.")
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._exchange.asked(method, path, headers, body)
        except TimeoutError:
            raise DeadlinePassed("The model server did not answer within the time given.") from None
        except OSError as exc:
            raise PredictorDown("The model server does not answer.", next_step="Try again shortly.") from exc
        except NotHttp as exc:
            raise PredictorFailed("The model server answered with something that is not HTTP.") from exc
        if answer.status in _GONE:
            raise PredictorDown(
                "The model server does not have this version, or takes no more requests.",
                next_step="Try again shortly.",
            )
        if answer.status != _OK:
            raise PredictorFailed(f"The model server answered with status {answer.status}.")
        return answer


def _request(rows: Sequence[PredictorRow]) -> tuple[bytes, bytes]:
    """Returns the JSON of an inference, and the binary tensors after it."""
    contents = (packed([row.text for row in rows]), b"".join([row.numeric for row in rows]))
    inputs = [
        {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": (len(rows), *tensor.shape),
            "parameters": {"binary_data_size": len(content)},
        }
        for tensor, content in zip(PREDICTOR_INPUTS, contents, strict=True)
    ]
    return orjson.dumps({"inputs": inputs, "outputs": _OUTPUTS}), b"".join(contents)


def _values(answer: Answer, version: str, rows: int) -> list[NDArray[Any]]:
    """Returns the outputs of Triton's answer, first dimension N; a wrong one is Triton's failure."""
    try:
        length = int(answer.headers[_LENGTH])
        document = orjson.loads(memoryview(answer.body)[:length])
        if document["model_version"] != version:
            raise PredictorFailed("The model server answered for another version than the one it was asked.")
        found, at = {}, length
        for output in document["outputs"]:
            end = at + output["parameters"]["binary_data_size"]
            found[output["name"], output["datatype"]] = answer.body[at:end]
            at = end
        return [_array(found[tensor.name, tensor.datatype], tensor, rows) for tensor in PREDICTOR_OUTPUTS]
    except (LookupError, TypeError, ValueError) as exc:
        raise PredictorFailed("The model server's answer is not what the contract says.") from exc


def _array(raw: bytes, tensor: Tensor, rows: int) -> NDArray[Any]:
    return np.frombuffer(raw, _DTYPES[tensor.datatype]).reshape(rows, *tensor.shape)
