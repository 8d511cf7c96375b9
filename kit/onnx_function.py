"""An ONNX graph as a function of arrays, run by ONNX Runtime as it is in serving."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BATCH_ROWS: Final = 64
"""Rows that are run at once. The Tokenizer pads a batch to its longest row and keeps the memory, so a batch
is bounded: 64 rows of 20,000 tokens are about 40 MB."""


class OnnxFunction:
    """A graph that is opened when it is first called; it can be pickled, and is then opened anew."""

    def __init__(self, model: bytes) -> None:
        self.model = model

    def __getstate__(self) -> dict[str, bytes]:
        return {"model": self.model}

    def proto(self) -> Any:
        """Returns the graph as onnx's own object."""
        import onnx

        return onnx.load_from_string(self.model)

    @cached_property
    def session(self) -> Any:
        """The open session: one thread, because two differ in the last bit (measured: 1e-7)."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])

    @cached_property
    def _names(self) -> list[str]:
        return [output.name for output in self.session.get_outputs()]

    def __call__(
        self, inputs: Mapping[str, NDArray[Any]], *, batch_rows: int = BATCH_ROWS
    ) -> dict[str, NDArray[Any]]:
        """Returns every output by name, first dimension N, computed in batches."""
        names = self._names
        rows = len(next(iter(inputs.values())))
        if rows <= batch_rows:
            return dict(zip(names, self.session.run(names, dict(inputs)), strict=True))
        answers = [
            self.session.run(names, {name: values[at : at + batch_rows] for name, values in inputs.items()})
            for at in range(0, max(rows, 1), batch_rows)
        ]
        return {name: np.concatenate([answer[at] for answer in answers]) for at, name in enumerate(names)}
