"""A model version inside Triton's Python backend: ONNX Runtime on the graph that lies beside this file.

Copied into the model repository and run by Triton's own process, where only NumPy, ONNX Runtime and Triton's
utilities can be imported. All requests of one call are run as one batch. A request that cannot be run is
answered with an error of its own, without its content, and its neighbours as if it were not there.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton
from numpy.typing import NDArray

MAX_TEXT_BYTES = 1 << 20
"""Of one string: a batch is padded to its longest text, and the memory is kept."""

Arrays = dict[str, NDArray[Any]]


class Unusable(Exception):
    """A request that cannot be run; the message is for its caller and holds nothing of its content."""


class TritonPythonModel:
    """What Triton calls: once `initialize`, then `execute` for each batch of requests."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the graph as everywhere else in Sluice (kit/onnx_function.py)."""
        if not np.__version__.startswith("1."):
            raise triton.TritonModelException(
                f"NumPy {np.__version__} is here; this stub was built for NumPy 1, and reads garbage under 2."
            )
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _whole_number(config, "intra_op_thread_count")
        options.inter_op_num_threads = _whole_number(config, "inter_op_thread_count")
        options.log_severity_level = 3
        graph = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self.session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self.ranks = {value.name: len(value.shape) for value in self.session.get_inputs()}
        self.types = {value["name"]: value["data_type"] for value in config["input"]}
        self.outputs = {value["name"]: [int(size) for size in value["dims"]] for value in config["output"]}
        if _whole_number(config, "warm_up"):
            self._run({value["name"]: _empty(value, self.ranks[value["name"]]) for value in config["input"]})

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Returns one response for each request, in order."""
        read: list[Arrays | Unusable] = [self._read(request) for request in requests]
        usable = [inputs for inputs in read if not isinstance(inputs, Unusable)]
        answers = iter(self._run_together(usable))
        return [_response(inputs if isinstance(inputs, Unusable) else next(answers)) for inputs in read]

    def _read(self, request: Any) -> Arrays | Unusable:
        inputs = {}
        for name, kind in self.types.items():
            values = triton.get_input_tensor_by_name(request, name).as_numpy()
            if kind == "TYPE_STRING":
                try:
                    values = _texts(name, values)
                except Unusable as exc:
                    return exc
            # A tensor of single values has a dimension more on the wire than in the graph.
            inputs[name] = values if values.ndim == self.ranks[name] else values.reshape(len(values))
        return inputs

    def _run_together(self, batch: Sequence[Arrays]) -> list[Arrays | Unusable]:
        if not batch:
            return []
        sizes = [len(next(iter(inputs.values()))) for inputs in batch]
        try:
            whole = self._run(
                {name: np.concatenate([inputs[name] for inputs in batch]) for name in self.types}
            )
        except Exception as exc:  # noqa: BLE001 - whatever it is, only its own request may fail
            if len(batch) == 1:
                return [Unusable(f"ONNX Runtime cannot run this request: {type(exc).__name__}.")]
            # Somebody's rows are at fault: each request is run alone, and its own error is its own.
            return [answer for inputs in batch for answer in self._run_together([inputs])]
        ends = np.cumsum(sizes)
        return [
            {name: values[end - size : end] for name, values in whole.items()}
            for end, size in zip(ends, sizes, strict=True)
        ]

    def _run(self, inputs: Arrays) -> Arrays:
        rows = len(next(iter(inputs.values())))
        answers = self.session.run(list(self.outputs), inputs)
        return {
            name: np.ascontiguousarray(values.reshape(rows, *shape))
            for (name, shape), values in zip(self.outputs.items(), answers, strict=True)
        }


def _texts(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Returns the strings of a tensor, which come as bytes that nobody has looked at."""
    texts = np.empty(values.size, dtype=object)
    for at, value in enumerate(values.reshape(-1)):
        if len(value) > MAX_TEXT_BYTES:
            raise Unusable(f"A string of {name} has {len(value)} bytes; {MAX_TEXT_BYTES} is the most.")
        if b"\0" in value:
            raise Unusable(f"A string of {name} holds a NUL, at which other runtimes would cut it.")
        try:
            texts[at] = value.decode("utf-8")
        except UnicodeDecodeError:
            raise Unusable(f"A string of {name} is not valid UTF-8.") from None
    return texts.reshape(values.shape)


def _empty(value: dict[str, Any], rank: int) -> NDArray[Any]:
    """Returns one row of an input: no text, or zeros."""
    shape = [1, *(int(size) for size in value["dims"])][:rank]
    kind = {"TYPE_FP32": np.float32, "TYPE_INT64": np.int64}.get(value["data_type"])
    return np.full(shape, "", dtype=object) if kind is None else np.zeros(shape, dtype=kind)


def _response(answer: Arrays | Unusable) -> Any:
    if isinstance(answer, Unusable):
        error = triton.TritonError(str(answer), triton.TritonError.INVALID_ARG)
        return triton.InferenceResponse(output_tensors=[], error=error)
    return triton.InferenceResponse([triton.Tensor(name, values) for name, values in answer.items()])


def _whole_number(config: dict[str, Any], parameter: str) -> int:
    return int(config["parameters"][parameter]["string_value"])
