"""The ONNX graphs of estimators: features, then trees, then the label.

Versions are those that Triton 24.10 reads with room to spare: IR 8, ai.onnx 15, ai.onnx.ml 1, and
com.microsoft 1 for the Tokenizer. The tensor between the two parts is called `feature_matrix`, so that the
first part can be cut out again (`features_part`).
"""

import copy
from collections.abc import Sequence
from typing import Any, Final

from contracts.tensors import Tensor

OPSET: Final = 15
"""Of ai.onnx; the highest that onnxmltools converts trees to."""
IR_VERSION: Final = 8
FEATURES: Final = "feature_matrix"
"""The tensor that holds the feature matrix, FP32 [N, F]."""

_DOMAINS: Final = {"": OPSET, "ai.onnx.ml": 1, "com.microsoft": 1}
_LABEL: Final = "label"
_PROBABILITIES: Final = "probabilities"


def numbers_graph(name: str, columns: int) -> Any:
    """Returns the graph that takes FP32 [N, columns] as `name` and gives it as the features."""
    from onnx import helper

    node = helper.make_node("Identity", [name], [FEATURES])
    return _model([node], [], [_value(Tensor(name=name, datatype="FP32", shape=(columns,)))], columns)


def text_and_numbers_graph(vectoriser: Any, text: str, numbers: str, columns: int) -> Any:
    """Returns the graph from `text` BYTES [N, 1] and `numbers` FP32 [N, columns] to the features.

    `vectoriser` is a fitted TfidfVectorizer; its columns come first. skl2onnx converts it.
    """
    from onnx import helper
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import StringTensorType

    split = copy.copy(vectoriser)
    # The converter guesses where a term of two tokens is to be split, and leaves many whole, which then never
    # match: told as tuples, there is nothing to guess.
    split.vocabulary_ = {tuple(term.split(" ")): at for term, at in vectoriser.vocabulary_.items()}
    converted = convert_sklearn(
        split, initial_types=[(text, StringTensorType([None, 1]))], target_opset=_DOMAINS
    ).graph
    concat = helper.make_node("Concat", [converted.output[0].name, numbers], [FEATURES], axis=1)
    inputs = [
        _value(Tensor(name=text, datatype="BYTES", shape=(1,))),
        _value(Tensor(name=numbers, datatype="FP32", shape=(columns,))),
    ]
    width = len(vectoriser.vocabulary_) + columns
    return _model([*converted.node, concat], converted.initializer, inputs, width)


def classifier_graph(features: Any, trees: Any, classes: int) -> Any:
    """Returns one graph: `features`, then `trees`, then `label` INT64 [N] and `probabilities` FP32 [N, K].

    `trees` takes the features and gives probabilities as its output of that name. Its own label is dropped:
    converters take it from scores, and at ties not all of them agree. Ours is the ArgMax of the
    probabilities, which is the first of the largest (contracts/bundle.py).
    """
    from onnx import helper

    part = _prefixed(trees, "trees/", {FEATURES: FEATURES, _PROBABILITIES: _PROBABILITIES})
    label = helper.make_node("ArgMax", [_PROBABILITIES], [_LABEL], axis=1, keepdims=0)
    model = _model(
        [*features.graph.node, *part.node, label],
        [*features.graph.initializer, *part.initializer],
        features.graph.input,
        0,
    )
    del model.graph.output[:]
    model.graph.output.extend(
        [
            _value(Tensor(name=_LABEL, datatype="INT64", shape=())),
            _value(Tensor(name=_PROBABILITIES, datatype="FP32", shape=(classes,))),
        ]
    )
    return _without_unused(model)


def features_part(model: bytes) -> bytes | None:
    """Returns the part of a classifier's graph that makes the features, or None if it cannot be cut out."""
    import onnx
    from onnx import helper

    whole = onnx.load_from_string(model)
    made = [at for at, node in enumerate(whole.graph.node) if FEATURES in node.output]
    if not made:
        return None
    nodes = whole.graph.node[: made[0] + 1]
    read = {name for node in nodes for name in node.input}
    part = helper.make_model(
        helper.make_graph(
            nodes,
            FEATURES,
            [value for value in whole.graph.input if value.name in read],
            [helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, ["N", None])],
            [tensor for tensor in whole.graph.initializer if tensor.name in read],
        ),
        opset_imports=whole.opset_import,
        ir_version=whole.ir_version,
    )
    return bytes(part.SerializeToString())


def _model(nodes: Sequence[Any], initializers: Sequence[Any], inputs: Sequence[Any], width: int) -> Any:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "sluice",
        inputs,
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", width])],
        initializers,
    )
    used = {node.domain for node in nodes} | {""}
    opsets = [helper.make_opsetid(domain, version) for domain, version in _DOMAINS.items() if domain in used]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sluice")


def _value(tensor: Tensor) -> Any:
    from onnx import TensorProto, helper

    kinds = {"BYTES": TensorProto.STRING, "FP32": TensorProto.FLOAT, "INT64": TensorProto.INT64}
    return helper.make_tensor_value_info(tensor.name, kinds[tensor.datatype], ["N", *tensor.shape])


def _prefixed(model: Any, prefix: str, kept: dict[str, str]) -> Any:
    """Returns the graph with `prefix` before all names but the `kept` ones: two parts cannot clash."""
    from onnx import GraphProto

    graph = GraphProto()
    graph.CopyFrom(model.graph)
    for node in graph.node:
        node.name = prefix + node.name
        for names in (node.input, node.output):
            names[:] = [name and kept.get(name, prefix + name) for name in names]
    for tensor in graph.initializer:
        tensor.name = kept.get(tensor.name, prefix + tensor.name)
    return graph


def _without_unused(model: Any) -> Any:
    """Returns the model without nodes that no output needs: the converter's own label and what follows it."""
    needed = {value.name for value in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
    return model
