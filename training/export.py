"""From a fitted estimator to bytes that the server reads: exported, and checked before anyone relies on them.

The versions allowed are those that Triton 24.10's ONNX Runtime reads (docs/bundle.md). Errors::

    Refused
    └── ExportRefused   the graph is not what the server reads, or not what the contract promises
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from contracts.tensors import Tensor
from kit.errors import Refused
from training.workload import Featuriser, Fitted, ModelContract, Workload

if TYPE_CHECKING:
    import onnx

MAX_IR_VERSION: Final = 10
MAX_OPSETS: Final[Mapping[str, int]] = MappingProxyType({"": 21, "ai.onnx.ml": 4, "com.microsoft": 1})
"""Highest version by operator domain; `ai.onnx.ml` 5 fails there on tree ensembles."""

_KINDS: Final = MappingProxyType({"BYTES": "STRING", "FP32": "FLOAT", "INT64": "INT64"})


class ExportRefused(Refused):
    """A graph that must not be served."""

    code = "export_refused"
    title = "Exported graph refused"


def export(workload: Workload, featuriser: Featuriser, fitted: Fitted) -> bytes:
    """Returns the ONNX graph of a fitted estimator, checked.

    Raises:
        ExportRefused: see `check`.
    """
    model = workload.estimator.export(featuriser, fitted)
    check(model, workload.contract)
    return model


def check(model: bytes, contract: ModelContract) -> None:
    """Checks that `model` is a graph that Triton reads and that takes and gives what `contract` says.

    Raises:
        ExportRefused: a version is too new, an operator comes from elsewhere, an output is no tensor, weights
            lie outside the file, names or types or shapes differ from the contract, or the runtime does not
            open it; `reasons` has a sentence for each.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load_from_string(model)
    except DecodeError as exc:
        raise _refused(["The bytes are not an ONNX graph."]) from exc
    reasons = [*_version_reasons(graph), *_tensor_reasons(graph, contract), *_weight_reasons(graph)]
    if not reasons:
        reasons = _runtime_reasons(model)
    if reasons:
        raise _refused(reasons)


def _refused(reasons: list[str]) -> ExportRefused:
    return ExportRefused(
        f"The exported graph cannot be served: {len(reasons)} things must change.",
        reasons=reasons,
        next_step="Mend the estimator's export; nothing was written.",
    )


def _version_reasons(model: "onnx.ModelProto") -> list[str]:
    reasons = []
    if model.ir_version > MAX_IR_VERSION:
        reasons.append(f"IR version {model.ir_version} is newer than {MAX_IR_VERSION}.")
    for opset in model.opset_import:
        domain = opset.domain or "ai.onnx"
        highest = MAX_OPSETS.get("" if opset.domain == "ai.onnx" else opset.domain)
        if highest is None:
            reasons.append(f"Operators of {domain} are not known to the server.")
        elif opset.version > highest:
            reasons.append(f"Opset {opset.version} of {domain} is newer than {highest}.")
    return reasons


def _tensor_reasons(model: "onnx.ModelProto", contract: ModelContract) -> list[str]:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    return [
        *_differences("input", inputs, contract.inputs),
        *_differences("output", list(model.graph.output), contract.outputs),
    ]


def _differences(role: str, found: list["onnx.ValueInfoProto"], promised: tuple[Tensor, ...]) -> list[str]:
    import onnx

    tensors = {tensor.name: tensor for tensor in promised}
    absent = sorted(tensors.keys() - {value.name for value in found})
    reasons = [f"There is no {role} {name}." for name in absent]
    for value in found:
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            reasons.append(f"The {role} {value.name} is a {kind or 'value'}, not a tensor: turn ZipMap off.")
            continue
        if value.name not in tensors:
            reasons.append(f"The {role} {value.name} is not in the contract.")
            continue
        tensor = tensors[value.name]
        element = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        if element != _KINDS[tensor.datatype]:
            reasons.append(f"The {role} {value.name} is {element}, not {_KINDS[tensor.datatype]}.")
        shape = _shape(value)
        if shape is None or shape != (None, *tensor.shape):
            told = "without a shape" if shape is None else f"of shape {_told(shape)}"
            reasons.append(f"The {role} {value.name} is {told}, not {_told((None, *tensor.shape))}.")
    return reasons


def _shape(value: "onnx.ValueInfoProto") -> tuple[int | None, ...] | None:
    """Returns the shape with None for a dimension of any size, or None if there is no shape."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        size.dim_value if size.WhichOneof("value") == "dim_value" else None for size in tensor.shape.dim
    )


def _told(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('N' if size is None else str(size) for size in shape)}]"


def _weight_reasons(model: "onnx.ModelProto") -> list[str]:
    import onnx

    outside = [
        tensor.name for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    return [f"The weights {', '.join(outside)} lie in a file of their own."] if outside else []


def _runtime_reasons(model: bytes) -> list[str]:
    """Returns what keeps the runtime from opening the graph, which is the last thing to know."""
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    from kit.onnx_function import OnnxFunction

    known = (failures.Fail, failures.InvalidGraph, failures.InvalidArgument, failures.NotImplemented)
    try:
        OnnxFunction(model).session  # noqa: B018 - opening it is the check
    except known as exc:
        return [f"ONNX Runtime does not open it: {str(exc).splitlines()[0][:300]}"]
    return []
