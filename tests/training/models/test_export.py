"""An exported graph is served only if the server reads it and the contract describes it."""

import hashlib
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx

from contracts.tensors import Tensor
from tests.training.models.conftest import FittedModel
from training.estimators.graph import features_part
from training.export import ExportRefused, check, export
from training.workload import Dataset, ModelContract, Workload

pytestmark = pytest.mark.xdist_group("models")  # one worker fits the model that they share

Flowers = tuple[Workload, Dataset, Any, Any]


@pytest.fixture
def graph(flowers: Flowers) -> onnx.ModelProto:
    """The exported forest, to be broken."""
    workload, _, featuriser, fitted = flowers
    return onnx.load_from_string(export(workload, featuriser, fitted))


def test_good_graph_passes(flowers: Flowers, graph: onnx.ModelProto) -> None:
    """What the estimator exports is what the contract promises, in versions that the server reads."""
    check(graph.SerializeToString(), flowers[0].contract)
    assert graph.ir_version <= 10
    assert {opset.domain: opset.version for opset in graph.opset_import} == {"": 15, "ai.onnx.ml": 1}
    assert [node.op_type for node in graph.graph.node][-1] == "ArgMax"


def test_newest_versions_that_the_server_reads_pass(flowers: Flowers, graph: onnx.ModelProto) -> None:
    """IR 10 is the last one; see the next test for the first one that is refused."""
    graph.ir_version = 10
    check(graph.SerializeToString(), flowers[0].contract)


def test_ir_version_too_new_is_refused(flowers: Flowers, graph: onnx.ModelProto) -> None:
    """A graph saved again by a newer onnx does not open in Triton 24.10."""
    graph.ir_version = 11
    assert _reasons(graph, flowers) == ["IR version 11 is newer than 10."]


@pytest.mark.parametrize(
    ("domain", "version", "reason"),
    [
        ("", 22, "Opset 22 of ai.onnx is newer than 21."),
        ("ai.onnx.ml", 5, "Opset 5 of ai.onnx.ml is newer than 4."),
        ("org.example", 1, "Operators of org.example are not known to the server."),
    ],
)
def test_opset_too_new_or_unknown_is_refused(
    flowers: Flowers, graph: onnx.ModelProto, domain: str, version: int, reason: str
) -> None:
    """Each domain has a highest version; a domain that is not listed has none."""
    kept = [opset for opset in graph.opset_import if opset.domain != domain]
    del graph.opset_import[:]
    graph.opset_import.extend([*kept, helper.make_opsetid(domain, version)])
    assert _reasons(graph, flowers) == [reason]


def test_zipmap_output_is_refused(flowers: Flowers) -> None:
    """The converter makes a sequence of maps unless it is told not to; Triton reads tensors only."""
    workload, data, _, fitted = flowers
    model = to_onnx(fitted.fitted, data.rows.inputs["features"][:1], target_opset=15)
    reasons = _reasons(model, (workload, data, None, None))
    assert "The output output_probability is a sequence_type, not a tensor: turn ZipMap off." in reasons


def test_output_of_another_name_is_refused(flowers: Flowers, graph: onnx.ModelProto) -> None:
    """The server finds tensors by name."""
    graph.graph.output[1].name = "scores"
    graph.graph.node[-2].output[0] = graph.graph.node[-1].input[0] = "scores"
    assert _reasons(graph, flowers) == [
        "There is no output probabilities.",
        "The output scores is not in the contract.",
    ]


def test_fixed_batch_size_is_refused(flowers: Flowers, graph: onnx.ModelProto) -> None:
    """A graph for one row at a time cannot be batched."""
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    assert _reasons(graph, flowers) == ["The input features is of shape [1, 4], not [N, 4]."]


def test_other_element_type_is_refused(flowers: Flowers, graph: onnx.ModelProto) -> None:
    """A label of 32 bits is not the one of the contract."""
    graph.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    assert _reasons(graph, flowers) == ["The output label is INT32, not INT64."]


def test_contract_with_more_columns_is_refused(flowers: Flowers, graph: onnx.ModelProto) -> None:
    """A contract that was changed without the model shows before anything is served."""
    contract = flowers[0].contract
    wider = ModelContract(
        contract.name,
        (Tensor(name="features", datatype="FP32", shape=(5,)),),
        contract.outputs,
        contract.classes,
        contract.schema_digest,
    )
    with pytest.raises(ExportRefused) as caught:
        check(graph.SerializeToString(), wider)
    assert caught.value.reasons == ("The input features is of shape [N, 4], not [N, 5].",)


def test_graph_that_the_runtime_does_not_open_is_refused(flowers: Flowers, graph: onnx.ModelProto) -> None:
    """An operator that does not exist is found by opening the graph."""
    graph.graph.node[0].op_type = "Nonsense"
    (reason,) = _reasons(graph, flowers)
    assert reason.startswith("ONNX Runtime does not open it:")


def test_bytes_that_are_no_graph_are_refused(flowers: Flowers) -> None:
    """Garbage is named as such."""
    with pytest.raises(ExportRefused) as caught:
        check(b"\xff\xfe garbage", flowers[0].contract)
    assert caught.value.reasons == ("The bytes are not an ONNX graph.",)


def test_mail_graph_holds_its_vocabulary_and_gives_the_contracts_tensors(mail_model: FittedModel) -> None:
    """Text and numbers go in as they travel; label INT64 [N] and probabilities FP32 [N, 2] come out."""
    model = export(mail_model.workload, mail_model.featuriser, mail_model.fitted)
    operators = [node.op_type for node in onnx.load_from_string(model).graph.node]
    assert {"Tokenizer", "TfIdfVectorizer", "Concat", "TreeEnsembleClassifier"} <= set(operators)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    label, probabilities = session.run(
        ["label", "probabilities"], {name: values[:3] for name, values in mail_model.rows.inputs.items()}
    )
    assert (label.shape, label.dtype) == ((3,), np.int64)
    assert (probabilities.shape, probabilities.dtype) == ((3, 2), np.float32)


def test_export_of_one_model_gives_equal_bytes(mail_model: FittedModel) -> None:
    """Nothing in the graph depends on when it was made."""
    models = {
        hashlib.sha256(export(mail_model.workload, mail_model.featuriser, mail_model.fitted)).hexdigest()
        for _ in range(2)
    }
    assert len(models) == 1


def test_features_can_be_cut_out_of_the_graph(mail_model: FittedModel) -> None:
    """The part before the trees gives the very matrix that they were fitted on."""
    part = features_part(export(mail_model.workload, mail_model.featuriser, mail_model.fitted))
    assert part is not None
    session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
    few = {name: values[:64] for name, values in mail_model.rows.inputs.items()}
    np.testing.assert_array_equal(session.run(None, few)[0], mail_model.matrix[:64])


def _reasons(graph: onnx.ModelProto, flowers: Flowers) -> list[str]:
    with pytest.raises(ExportRefused) as caught:
        check(graph.SerializeToString(), flowers[0].contract)
    return list(caught.value.reasons)
