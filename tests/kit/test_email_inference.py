"""The Open Inference Protocol as bytes: what is read, what is refused, what is written."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.email_inference import INPUT, OUTPUTS, InferenceRequest, RequestInvalid, packed, read, written

MOST = 8


def body(*, tensor: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Returns a right request of one e-mail, but for the changes."""
    email = {"name": "email", "datatype": "BYTES", "shape": [1], "data": ["Subject: a\n\nb"]} | (tensor or {})
    return json.dumps({"inputs": [email]} | changes).encode()


def binary(emails: list[bytes], **parameters: Any) -> tuple[bytes, int]:
    """Returns a request whose e-mails follow its JSON, and the length of that."""
    raw = packed(emails)
    tensor = {
        "name": "email", "datatype": "BYTES", "shape": [len(emails)],
        "parameters": {"binary_data_size": len(raw)} | parameters,
    }  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + raw, len(head)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=MOST))
def test_binary_e_mails_come_as_they_were_sent(emails: list[bytes]) -> None:
    """Any bytes, empty ones too."""
    sent, length = binary(emails)
    request = read(sent, length, max_emails=MOST)
    assert (list(request.emails), request.structured) == (emails, None)


def test_json_e_mails_come_in_utf_8() -> None:
    """JSON has no other bytes; the order stays."""
    sent = body(tensor={"shape": [2], "data": ["grüße\u0000", ""]}, id="seven")
    request = read(sent, None, max_emails=MOST)
    assert (request.emails, request.id) == (["grüße\u0000".encode(), b""], "seven")
    assert [wanted.name for wanted in request.outputs] == ["probability", "label", "verdict"]
    assert not any(wanted.binary for wanted in request.outputs)


@pytest.mark.parametrize("place", ["tensor", "request"])
def test_the_content_type_may_stand_at_the_tensor_or_at_the_request(place: str) -> None:
    """The tensor's stands above the request's."""
    about = {"parameters": {"content_type": "application/json"}}
    sent = body(tensor=about) if place == "tensor" else body(**about)
    assert read(sent, None, max_emails=MOST).structured is True
    both = body(tensor=about, parameters={"content_type": "message/rfc822"})
    assert read(both, None, max_emails=MOST).structured is True


WRONG: dict[str, tuple[bytes, int | None]] = {
    "nothing": (b"", None),
    "no JSON": (b"{", None),
    "no UTF-8": (b'{"inputs": "\xff"}', None),
    "half of a pair": (body().replace(b"Subject", b"\\ud800"), None),
    "no object": (b"[]", None),
    "deep": (b'{"inputs":' + b"[" * 100_000, None),
    "no inputs": (b"{}", None),
    "two inputs": (json.dumps({"inputs": [{}, {}]}).encode(), None),
    "inputs of text": (b'{"inputs": ["email"]}', None),
    "another name": (body(tensor={"name": "text"}), None),
    "another datatype": (body(tensor={"datatype": "FP32"}), None),
    "two dimensions": (body(tensor={"shape": [1, 1]}), None),
    "a true shape": (body(tensor={"shape": [True]}), None),
    "a negative shape": (body(tensor={"shape": [-1]}), None),
    "an empty batch": (body(tensor={"shape": [0], "data": []}), None),
    "too many": (body(tensor={"shape": [MOST + 1], "data": [""] * (MOST + 1)}), None),
    "fewer than said": (body(tensor={"shape": [2]}), None),
    "numbers": (body(tensor={"data": [1]}), None),
    "no data": (body(tensor={"data": None}), None),
    "nested data": (body(tensor={"data": [["a"]]}), None),
    "parameters of text": (body(parameters="a"), None),
    "another content type": (body(parameters={"content_type": "text/html"}), None),
    "a content type that is a list": (body(parameters={"content_type": []}), None),
    "an unknown output": (body(outputs=[{"name": "colour"}]), None),
    "an output twice": (body(outputs=[{"name": "label"}, {"name": "label"}]), None),
    "outputs of text": (body(outputs="label"), None),
    "a class count": (body(outputs=[{"name": "label", "parameters": {"classification": 2}}]), None),
    "shared memory": (body(outputs=[{"name": "label", "parameters": {"shared_memory_region": "a"}}]), None),
    "a number for an id": (body(id=7), None),
    "a long id": (body(id="x" * 1000), None),
    "longer JSON than the body": (body(), 10_000),
    "bytes of nobody": (body() + b"abc", len(body())),
    "data and bytes": (body(tensor={"parameters": {"binary_data_size": 0}}), len(body())),
    "a wrong size": (binary([b"a"])[0] + b"b", binary([b"a"])[1]),
    "a size of text": binary([b"a"], binary_data_size="5"),
    "a length beyond the end": (
        binary([b"abcd"])[0].replace(struct.pack("<I", 4), b"\xff\xff\xff\xff"), binary([b"abcd"])[1],
    ),
    "more elements than said": (
        binary([b"", b""])[0].replace(b"[2]", b"[1]"), binary([b"", b""])[1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_request_is_refused_with_a_reason(name: str) -> None:
    """Never another exception, and the reason repeats nothing of an e-mail."""
    sent, length = WRONG[name]
    with pytest.raises(RequestInvalid) as refused:
        read(sent, length, max_emails=MOST)
    assert refused.value.status == 400
    assert refused.value.message.endswith(".")
    assert "Subject" not in refused.value.message


@given(st.binary(max_size=200), st.none() | st.integers(-5, 300))
def test_any_bytes_are_read_or_refused(sent: bytes, length: int | None) -> None:
    """There is no third way."""
    try:
        read(sent, length, max_emails=MOST)
    except RequestInvalid:
        return


def values(count: int) -> dict[str, Any]:
    """Returns some values of each output."""
    made: dict[str, Any] = {}
    for name, tensor in OUTPUTS.items():
        shape = (count, *tensor.shape)
        if tensor.datatype == "BYTES":
            made[name] = [f"{name} {at} ü" for at in range(count)]
        elif tensor.datatype == "FP32":
            made[name] = np.random.default_rng(1).random(shape, dtype=np.float32)
        else:
            made[name] = np.arange(count, dtype=np.int64)
    return made


@pytest.mark.parametrize("as_binary", [False, True])
def test_every_output_can_be_read_again_to_the_last_bit(as_binary: bool) -> None:
    """As JSON and as bytes."""
    outputs = [{"name": name, "parameters": {"binary_data": as_binary}} for name in OUTPUTS]
    request = read(body(tensor={"shape": [3], "data": ["", "", ""]}, outputs=outputs), None, max_emails=MOST)
    given_values = values(3)
    answer, length = written(request, given_values, model="m", version="7")
    document = json.loads(answer[:length])
    assert (document["model_name"], document["model_version"]) == ("m", "7")
    at = length or 0
    for tensor in document["outputs"]:
        contract, wanted = OUTPUTS[tensor["name"]], given_values[tensor["name"]]
        assert (tensor["datatype"], tensor["shape"]) == (contract.datatype, [3, *contract.shape])
        if as_binary:
            raw = answer[at : at + tensor["parameters"]["binary_data_size"]]
            at += len(raw)
            if contract.datatype == "BYTES":
                assert raw == packed([text.encode() for text in wanted])
            else:
                assert raw == wanted.tobytes()
        elif contract.datatype == "FP32":
            assert np.array(tensor["data"], dtype=np.float32).tobytes() == wanted.tobytes()
        else:
            assert tensor["data"] == list(wanted)
    assert at == (len(answer) if as_binary else 0)


def test_outputs_come_in_the_order_they_were_asked_in() -> None:
    """Each in the form it was asked in."""
    request = InferenceRequest([b""], None, read(
        body(outputs=[{"name": "label"}, {"name": "probability", "parameters": {"binary_data": True}}]),
        None, max_emails=MOST,
    ).outputs)  # fmt: skip
    answer, length = written(request, values(1), model="m", version="1")
    label, probability = json.loads(answer[:length])["outputs"]
    assert (label["name"], label["data"], probability["name"]) == ("label", [0], "probability")
    assert "data" not in probability
    assert INPUT.name == "email"
