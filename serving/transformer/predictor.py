"""Triton as the transformer asks it: one gRPC channel, always a named version, always a deadline.

Rows of several requests go together (kit.coalescing), each call with at most the rows of one
batch. gRPC's errors become ours here and nowhere else.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

import grpc
import numpy as np
from numpy.typing import NDArray
from prometheus_client import Histogram
from tritonclient.grpc import service_pb2, service_pb2_grpc

from contracts.tensors import PREDICTOR_INPUTS, PREDICTOR_OUTPUTS, Tensor
from kit.email_inference import packed
from serving.transformer.errors import DeadlinePassed, PredictorDown, PredictorFailed

_CHANNEL: Final = [
    # A server that was started again is to be found within a fraction of a second, not after gRPC's minutes.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    # Neighbours: no proxy of the environment stands between.
    ("grpc.enable_http_proxy", 0),
]
_LEAST_SECONDS: Final = 0.001
_GRACE_SECONDS: Final = 2.0


class PredictorRow(NamedTuple):
    """One row of the model's inputs, as bytes of the wire."""

    text: bytes
    numeric: bytes


class Predictor:
    """A connection to one Triton; it is made when it is needed, and again when it was lost."""

    def __init__(self, address: str, seconds: Histogram, rows: Histogram) -> None:
        self.address = address
        self._seconds = seconds
        self._rows = rows
        self._channel = grpc.aio.insecure_channel(address, options=_CHANNEL)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._infer, self._metadata, self._ready = stub.ModelInfer, stub.ModelMetadata, stub.ModelReady

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
        answer = await _answer(self._infer, _request(model, version, rows), deadline)
        self._seconds.observe(time.perf_counter() - begun)
        self._rows.observe(len(rows))
        if answer.model_version != version:
            raise PredictorFailed("The model server answered for another version than the one it was asked.")
        label, probabilities = (_values(answer, tensor, len(rows)) for tensor in PREDICTOR_OUTPUTS)
        return label, probabilities

    async def metadata(self, model: str, version: str, deadline: float) -> Any:
        """Returns Triton's description of the version's tensors.

        Raises:
            PredictorDown, PredictorFailed, DeadlinePassed: as in `infer`.
        """
        return await _answer(
            self._metadata, service_pb2.ModelMetadataRequest(name=model, version=version), deadline
        )

    async def ready(self, model: str, version: str, deadline: float) -> bool:
        """Tells whether this very version takes requests; False too if nobody answers."""
        request = service_pb2.ModelReadyRequest(name=model, version=version)
        try:
            return bool((await _answer(self._ready, request, deadline)).ready)
        except (PredictorDown, PredictorFailed, DeadlinePassed):
            return False

    async def close(self) -> None:
        """Closes the connection; calls under way are given time to end."""
        await self._channel.close(grace=_GRACE_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _request(model: str, version: str, rows: Sequence[PredictorRow]) -> Any:
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for tensor in PREDICTOR_INPUTS:
        described = request.inputs.add(name=tensor.name, datatype=tensor.datatype)
        described.shape.extend((len(rows), *tensor.shape))
    for tensor in PREDICTOR_OUTPUTS:
        request.outputs.add(name=tensor.name)
    request.raw_input_contents.append(packed([row.text for row in rows]))
    request.raw_input_contents.append(b"".join([row.numeric for row in rows]))
    return request


def _values(answer: Any, tensor: Tensor, rows: int) -> NDArray[Any]:
    """Returns one output of Triton's answer, first dimension N; a wrong one is Triton's failure."""
    for at, output in enumerate(answer.outputs):
        if output.name == tensor.name and output.datatype == tensor.datatype:
            dtype = "<f4" if tensor.datatype == "FP32" else "<i8"
            values = np.frombuffer(answer.raw_output_contents[at], dtype)
            if values.size == rows * int(np.prod(tensor.shape)):
                return values.reshape(rows, *tensor.shape)
    raise PredictorFailed(f"The model server's answer has no fitting `{tensor.name}`.")


async def _answer(method: Any, request: Any, deadline: float) -> Any:
    left = deadline - asyncio.get_running_loop().time()
    if left < _LEAST_SECONDS:
        raise DeadlinePassed("The time for an answer was over before the model was asked.")
    try:
        return await method(request, timeout=left)
    except grpc.aio.AioRpcError as exc:
        raise _translated(exc.code()) from exc
    except grpc.aio.UsageError as exc:
        raise PredictorDown("The connection to the model server was closed.") from exc


def _translated(code: grpc.StatusCode) -> PredictorDown | PredictorFailed | DeadlinePassed:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlinePassed("The model server did not answer within the time given.")
    if code in {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }:
        return PredictorDown(
            "The model server does not answer, or does not have this version.", next_step="Try again shortly."
        )
    return PredictorFailed(f"The model server answered with {code.name}.")
