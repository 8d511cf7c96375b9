"""Tensors read strictly: what was written comes back, and nothing else is believed."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.tensors import Malformed, document, packed, tensors

LETTERS = st.text("ab", max_size=3)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 9), st.floats(), LETTERS, st.sampled_from(["FP32", "BYTES"]),
    st.lists(st.integers(-1, 3), max_size=3), st.dictionaries(LETTERS, LETTERS, max_size=2),
    st.just({"binary_data_size": 4}),
)  # fmt: skip
KEYS = ("name", "datatype", "shape", "data", "parameters")


def binary(name: str, datatype: str, shape: list[int], raw: bytes) -> dict[str, Any]:
    """Returns the description of a tensor whose bytes follow the JSON."""
    return {
        "name": name,
        "datatype": datatype,
        "shape": shape,
        "parameters": {"binary_data_size": len(raw)},
    }


@given(
    st.lists(st.binary(max_size=20), max_size=5), st.lists(st.floats(width=32, allow_nan=False), max_size=5)
)
def test_bytes_come_back_as_they_were_written(elements: list[bytes], numbers: list[float]) -> None:
    """Several tensors behind one another."""
    finite = [number for number in numbers if abs(number) != float("inf")]
    first, second = packed(elements), struct.pack(f"<{len(finite)}f", *finite)
    head = json.dumps(
        {
            "outputs": [
                binary("a", "BYTES", [len(elements)], first),
                binary("b", "FP32", [len(finite)], second),
            ]
        }
    ).encode()
    read, tail = document(head + first + second, len(head))
    found = tensors(read["outputs"], tail)
    assert found["a"].elements() == elements
    assert list(found["b"].numbers()) == finite


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=4))
def test_json_numbers_are_what_the_model_sees(numbers: list[float]) -> None:
    """Nested or flat, as float32."""
    for data in (numbers, [[number] for number in numbers]):
        tensor = {"name": "a", "datatype": "FP32", "shape": [len(numbers), 1], "data": data}
        assert list(tensors([tensor], memoryview(b""))["a"].numbers()) == numbers


@given(st.dictionaries(st.sampled_from(KEYS), VALUES), st.binary(max_size=8))
def test_whatever_comes_is_a_tensor_or_malformed(described: dict[str, Any], tail: bytes) -> None:
    """Nothing else is raised, and what is read fits its shape."""
    try:
        found = tensors([described], memoryview(tail))
    except Malformed:
        return
    for tensor in found.values():
        assert tensor.total >= 0
        if tensor.data is not None:
            assert len(tensor.data) == tensor.total


@given(st.binary(max_size=40), st.one_of(st.none(), st.integers(-2, 50)))
def test_any_body_is_a_document_or_malformed(body: bytes, length: int | None) -> None:
    """And the rest of it is what follows."""
    try:
        read, tail = document(body, length)
    except Malformed:
        return
    assert isinstance(read, dict)
    assert len(tail) == (0 if length is None else len(body) - length)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("INT8", [128]), ("UINT8", [-1]), ("INT64", [1 << 63]), ("INT32", [1.0]), ("BOOL", [1]),
        ("BYTES", [1]), ("FP32", [True]), ("FP32", ["1"]), ("FP32", [1e39]), ("FP32", [None]),
        ("UINT64", [1 << 64]),
    ],
)  # fmt: skip
def test_json_that_is_not_of_its_datatype_is_malformed(datatype: str, data: list[Any]) -> None:
    """A server would answer some of it with an error of its own."""
    with pytest.raises(Malformed, match="datatype"):
        tensors([{"name": "a", "datatype": datatype, "shape": [1], "data": data}], memoryview(b""))
