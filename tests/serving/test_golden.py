"""Golden rows are always the same, cover what a model may meet, and tell one model from another."""

from typing import Any

import numpy as np
import pytest

from contracts.tensors import Tensor
from kit.bundle import Bundle
from kit.onnx_function import OnnxFunction
from serving import golden
from serving.golden import ContractMismatch, GoldenMismatch
from serving.model_repository import wire_shape


def served(bundle: Bundle) -> golden.Infer:
    """Returns the bundle's own graph, with the shapes that the wire has."""
    graph = OnnxFunction(bundle.model.read_bytes())

    def infer(inputs: golden.Arrays) -> golden.Arrays:
        answers = graph(inputs)
        return {name: values.reshape(len(values), -1) for name, values in answers.items()}

    return infer


def metadata(bundle: Bundle) -> dict[str, Any]:
    """Returns what Triton says of the bundle's model when all is well."""

    def told(tensor: Tensor) -> dict[str, Any]:
        return {"name": tensor.name, "datatype": tensor.datatype, "shape": [-1, *wire_shape(tensor)]}

    contract = bundle.contract
    return {
        "name": contract.workload,
        "versions": ["1"],
        "inputs": [told(tensor) for tensor in contract.inputs],
        "outputs": [told(tensor) for tensor in contract.outputs],
    }


def test_rows_are_the_same_every_time(flowers_1: Bundle, mails_1: Bundle) -> None:
    """Whoever asks them can compute what must come back."""
    for bundle in (flowers_1, mails_1):
        first, second = golden.rows(bundle.contract), golden.rows(bundle.contract)
        assert list(first) == [tensor.name for tensor in bundle.contract.inputs]
        for tensor in bundle.contract.inputs:
            assert first[tensor.name].shape == (golden.ROWS, *tensor.shape)
            assert first[tensor.name].tolist() == second[tensor.name].tolist()


def test_rows_hold_empty_unknown_known_and_long_texts_and_numbers_of_many_sizes(mails_1: Bundle) -> None:
    """Text that goes over any wire: valid UTF-8 without NUL; numbers that are finite float32."""
    rows = golden.rows(mails_1.contract)
    texts = rows["text"][:, 0].tolist()
    terms = {name.removeprefix("term:") for name in mails_1.contract.feature_names if "term:" in name}
    assert texts[0] == ""
    assert not set(texts[1].split()) & terms
    assert set(texts[2].split()) & terms
    assert max(map(len, texts)) > 10_000
    assert all("\0" not in text and text.encode().decode() == text for text in texts)
    assert rows["numeric"].dtype == np.float32
    assert np.isfinite(rows["numeric"]).all()
    assert (rows["numeric"][0] == 0).all()
    assert (rows["numeric"].max(axis=1) > 100).any()
    assert ((rows["numeric"] > 0) & (rows["numeric"] < 0.5)).any()


def test_rows_reach_more_than_one_answer(flowers_1: Bundle, mails_1: Bundle) -> None:
    """A model that always says the same would not be told from another."""
    for bundle in (flowers_1, mails_1):
        answers = golden.expected(bundle, golden.rows(bundle.contract))
        assert len(set(answers["label"].tolist())) > 1
        assert len({tuple(row) for row in answers["probabilities"].tolist()}) > golden.ROWS // 4


def test_the_bundle_s_own_graph_passes_and_another_is_refused_with_rows_and_values(
    flowers_1: Bundle, flowers_2: Bundle, mails_1: Bundle, mails_2: Bundle
) -> None:
    """Both kinds of model, both directions."""
    for one, other in ((flowers_1, flowers_2), (mails_1, mails_2)):
        golden.check(one, served(one))
        with pytest.raises(GoldenMismatch) as refused:
            golden.check(one, served(other))
        first = refused.value.differences[0]
        assert str(first) in refused.value.reasons
        assert str(first.expected) in str(first)
        assert str(first.answered) in str(first)


@pytest.mark.parametrize("error", [2e-6, -2e-6, np.nan, np.inf])
def test_a_probability_that_is_off_by_more_than_the_tolerance_is_refused(
    error: float, mails_1: Bundle
) -> None:
    """Also one that is no number; a tenth of the tolerance passes."""
    answer = served(mails_1)

    def off(by: float) -> golden.Infer:
        def infer(inputs: golden.Arrays) -> golden.Arrays:
            answers = dict(answer(inputs))
            answers["probabilities"] = answers["probabilities"].astype(np.float64)
            answers["probabilities"][0, 1] += by
            return answers

        return infer

    with pytest.raises(GoldenMismatch, match="golden rows"):
        golden.check(mails_1, off(error))
    golden.check(mails_1, off(1e-7))


def test_a_wrong_label_an_absent_output_and_a_wrong_size_are_refused(flowers_1: Bundle) -> None:
    """Each with what came instead."""
    answer = served(flowers_1)
    with pytest.raises(GoldenMismatch) as refused:
        golden.check(flowers_1, lambda rows: {**answer(rows), "label": (answer(rows)["label"] + 1) % 3})
    assert {found.tensor for found in refused.value.differences} == {"label"}
    with pytest.raises(GoldenMismatch) as refused:
        golden.check(flowers_1, lambda rows: {"label": answer(rows)["label"]})
    assert refused.value.differences[0].answered == "absent"
    with pytest.raises(GoldenMismatch) as refused:
        golden.check(flowers_1, lambda rows: {name: values[:-1] for name, values in answer(rows).items()})
    assert "[7, " in str(refused.value.differences[0].answered)


def test_metadata_of_the_contract_conforms_also_in_grpc_s_json(mails_1: Bundle) -> None:
    """There 64-bit numbers are text."""
    told = metadata(mails_1)
    golden.conformance(mails_1.contract, told)
    for tensor in (*told["inputs"], *told["outputs"]):
        tensor["shape"] = [str(size) for size in tensor["shape"]]
    golden.conformance(mails_1.contract, told)


@pytest.mark.parametrize(
    ("role", "at", "change", "told"),
    [
        ("inputs", 1, {"shape": [-1, 23]}, "of shape [-1, 23], and not [-1, 24]"),
        ("inputs", 0, {"datatype": "FP32"}, "text is FP32, and not BYTES"),
        ("inputs", 0, {"name": "words"}, "There is no input text"),
        ("outputs", 0, {"shape": [-1]}, "label is of shape [-1], and not [-1, 1]"),
        ("outputs", 1, {"name": "scores"}, "output scores is not in the contract"),
    ],
)
def test_any_other_tensor_is_refused_by_name(
    role: str, at: int, change: dict[str, Any], told: str, mails_1: Bundle
) -> None:
    """Names, datatypes, shapes: the sentence says both sides."""
    found = metadata(mails_1)
    found[role][at] |= change
    with pytest.raises(ContractMismatch) as refused:
        golden.conformance(mails_1.contract, found)
    assert any(told in reason for reason in refused.value.reasons)


def test_another_model_is_refused_by_name(flowers_1: Bundle, mails_1: Bundle) -> None:
    """A server that answers for somebody else."""
    with pytest.raises(ContractMismatch) as refused:
        golden.conformance(flowers_1.contract, metadata(mails_1))
    assert "spam-detector" in refused.value.reasons[-1] or "spam-detector" in " ".join(refused.value.reasons)
