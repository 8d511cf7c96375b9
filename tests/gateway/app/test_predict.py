"""What clients of /v1 are answered."""

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from contracts import gateway as paths
from gateway.settings import GatewaySettings
from tests.gateway.app.stand import HAM, LIMIT_SECONDS, SPAM, THRESHOLD, Stand, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def remembered(stand: Stand, request_id: str) -> dict[str, Any]:
    """Returns what the records hold of a request, once it is there."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            answer = await stand.client.get(f"{paths.PREDICTIONS}/{request_id}")
            if answer.status_code == 200:
                return dict(answer.json())
            assert answer.status_code == 404, answer.text


async def test_a_raw_email_is_answered_with_a_verdict(stand: Stand) -> None:
    """And with all that says where it came from."""
    answer = await stand.predict(SPAM)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["verdict"] == "spam"
    assert THRESHOLD <= told["probability"] <= 1
    assert (told["threshold"], told["environment"], told["model"]) == (
        THRESHOLD, "staging", "spam-detector",
    )  # fmt: skip
    assert told["version"] == answer.headers["x-model-version"]
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["latency_ms"] > 0
    assert "explanation" not in told
    assert answer.headers["x-environment"] == "staging"
    assert (await stand.predict(HAM)).json()["verdict"] == "ham"


async def test_the_same_email_is_answered_alike_in_all_its_forms(stand: Stand) -> None:
    """In JSON, as a message, and in fields."""
    raw = (await stand.predict(SPAM)).json()
    message = await stand.client.post(
        paths.PREDICT, content=SPAM, headers={"Content-Type": "message/rfc822; charset=utf-8"}
    )
    subject, body = SPAM.removeprefix("Subject: ").split("\n\n")
    fields = await stand.client.post(paths.PREDICT, json={"subject": subject, "body": body})
    assert message.json()["probability"] == raw["probability"]
    assert fields.json()["verdict"] == "spam"


async def test_a_message_of_any_bytes_is_taken(stand: Stand) -> None:
    """Neither UTF-8 nor a mail at all."""
    answer = await stand.client.post(
        paths.PREDICT, content=b"\x00\xff\xfe junk \x80" * 50, headers={"Content-Type": "message/rfc822"}
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("value", ["true", "1"])
async def test_an_explanation_comes_if_it_is_asked_for(stand: Stand, value: str) -> None:
    """With the terms that decided."""
    answer = await stand.client.post(f"{paths.PREDICT}?explain={value}", json={"raw": SPAM})
    explanation = answer.json()["explanation"]
    assert explanation["toward"] == "spam"
    assert explanation["top"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("explain=perhaps", "explain"), ("explain=true&explain=false", "explain"), ("explian=true", "explian"),
     ("explain=", "explain"), ("&".join(["a=1"] * 100), "query")],
)  # fmt: skip
async def test_a_wrong_parameter_is_refused(stand: Stand, query: str, field: str) -> None:
    """A mistyped one too: it would go unnoticed."""
    told = problem_of(await stand.client.post(f"{paths.PREDICT}?{query}", json={"raw": SPAM}))
    assert (told["status"], told["code"]) == (422, "validation_failed")
    assert told["errors"][0]["field"] == field


SECRET = "a-value-that-is-never-told"
WRONG: list[tuple[Any, str]] = [
    ({}, "email"),
    ([], "email"),
    ("text", "email"),
    (None, "email"),
    ({"raw": ""}, "email"),
    ({"raw": " \n"}, "email"),
    ({"raw": 7}, "raw"),
    ({"raw": None}, "raw"),
    ({"raw": SECRET, "body": SECRET}, "email"),
    ({"subject": {"nested": SECRET}}, "subject"),
    ({"attachments": -1}, "attachments"),
    ({"attachments": 1e300}, "attachments"),
    ({"to": ["a@b.example", 5]}, "to.1"),
    ({"headers": {SECRET: 7}}, "headers"),
    ({"subject": SECRET, "headers": {"Subject": SECRET}}, "email"),
    ({"emails": [SECRET]}, "emails"),
    ({"x" * 5000: SECRET}, f"{'x' * 64}…"),
]


@pytest.mark.parametrize(("document", "field"), WRONG)
async def test_wrong_fields_are_named_with_a_reason_and_without_their_value(
    stand: Stand, document: Any, field: str
) -> None:
    """422, and what to change."""
    answer = await stand.client.post(
        paths.PREDICT, content=orjson.dumps(document), headers={"Content-Type": "application/json"}
    )
    told = problem_of(answer)
    assert (told["status"], told["code"]) == (422, "validation_failed")
    assert field in [fault["field"] for fault in told["errors"]]
    assert all(fault["reason"] for fault in told["errors"])
    assert SECRET not in answer.text
    assert len(answer.content) < 4000


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"raw": "a"', b"\xff\xfe", b'{"raw": "\\ud800"}', b"[" * 3000, b'{"raw": NaN}', b"{} {}"],
)
async def test_broken_json_is_400(stand: Stand, body: bytes) -> None:
    """Cut off, no UTF-8, half a surrogate, too deep."""
    answer = await stand.client.post(
        paths.PREDICT, content=body, headers={"Content-Type": "application/json"}
    )
    told = problem_of(answer)
    assert (told["status"], told["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "json", "*/*"])
async def test_other_content_types_are_415(stand: Stand, kind: str) -> None:
    """And none at all: nobody guesses."""
    answer = await stand.client.post(
        paths.PREDICT, content=b"{}", headers={"Content-Type": kind} if kind else {}
    )
    told = problem_of(answer)
    assert (told["status"], told["code"]) == (415, "content_type_refused")
    assert "application/json" in told["next_step"]


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "zstd"])
async def test_a_compressed_body_is_415(stand: Stand, coding: str) -> None:
    """It could be much larger than it looks."""
    answer = await stand.client.post(
        paths.PREDICT, content=b"x", headers={"Content-Type": "application/json", "Content-Encoding": coding}
    )
    assert problem_of(answer)["code"] == "content_type_refused"


async def test_a_batch_answers_each_email_with_a_result_or_a_problem(stand: Stand, root: Any) -> None:
    """What is wrong with one changes nothing for the others."""
    large = "x" * (GatewaySettings().max_email_bytes + 1)
    emails = [{"raw": SPAM}, {}, {"raw": HAM}, 7, {"subject": "agenda", "body": "meeting"}, {"raw": large},
              {"attachments": "many"}]  # fmt: skip
    answer = await stand.client.post(
        paths.PREDICT_BATCH, json={"emails": emails}, headers={"X-Request-Id": "batch-of-seven"}
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["answered"], told["refused"]) == (3, 4)
    assert [item["index"] for item in told["items"]] == list(range(7))
    assert [item["result"]["verdict"] for item in told["items"] if "result" in item] == ["spam", "ham", "ham"]
    problems = {item["index"]: item["problem"]["code"] for item in told["items"] if "problem" in item}
    assert problems == {
        1: "validation_failed",
        3: "validation_failed",
        5: "body_too_large",
        6: "validation_failed",
    }
    assert told["items"][2]["result"]["request_id"] == "batch-of-seven.2"
    assert told["items"][5]["problem"]["request_id"] == "batch-of-seven.5"
    assert told["version"] == answer.headers["x-model-version"]
    kept = await remembered(stand, "batch-of-seven.2")
    assert kept["message_sha256"] == hashlib.sha256(HAM.encode()).hexdigest()


async def test_a_batch_of_nothing_but_wrong_emails_is_answered_too(stand: Stand) -> None:
    """By no version: none was asked."""
    answer = await stand.client.post(paths.PREDICT_BATCH, json={"emails": [{}, {}]})
    assert (answer.status_code, answer.json()["refused"], answer.json()["version"]) == (200, 2, None)
    assert "x-model-version" not in answer.headers


@pytest.mark.parametrize(
    "document",
    [{}, {"emails": []}, {"emails": "a"}, {"emails": [{"raw": "a"}] * 257},
     {"emails": [{"raw": "a"}], "more": 1}, [], {"raw": "a"}],
)  # fmt: skip
async def test_what_is_no_batch_is_refused_whole(stand: Stand, document: Any) -> None:
    """Empty, too long, or something else."""
    told = problem_of(await stand.client.post(paths.PREDICT_BATCH, json=document))
    assert (told["status"], told["code"]) == (422, "validation_failed")


async def test_every_email_of_a_batch_counts_for_the_rate(stand: Stand) -> None:
    """As many as there are, and not one."""

    async def left() -> int:
        answer = await stand.predict()
        return int(answer.headers["ratelimit"].partition("r=")[2].partition(";")[0])

    before = await left()
    await stand.client.post(paths.PREDICT_BATCH, json={"emails": [{"raw": HAM}] * 20})
    assert before - await left() == 21


async def test_an_answer_is_remembered_and_found_again(stand: Stand) -> None:
    """With the hash of the message, and never its text."""
    told = (await stand.predict(SPAM, X_Environment="production")).json()
    kept = await remembered(stand, told["request_id"])
    assert kept["verdict"] == told["verdict"]
    assert kept["probability"] == pytest.approx(told["probability"], abs=1e-6)
    assert (kept["environment"], kept["version"]) == ("production", told["version"])
    assert kept["message_sha256"] == hashlib.sha256(SPAM.encode()).hexdigest()
    assert "winner" not in orjson.dumps(kept).decode()


async def test_feedback_can_be_given_twice(stand: Stand) -> None:
    """The same again changes nothing, another label does."""
    name = (await stand.predict(SPAM)).json()["request_id"]
    outcomes = []
    for label in ("spam", "spam", "ham"):
        answer = await stand.client.post(paths.FEEDBACK, json={"request_id": name, "label": label})
        assert answer.status_code == 200, answer.text
        outcomes.append(answer.json()["outcome"])
    assert outcomes == ["created", "unchanged", "changed"]
    await remembered(stand, name)
    kept = (await stand.client.get(f"{paths.PREDICTIONS}/{name}")).json()
    assert kept["feedback"]["label"] == "ham"


@pytest.mark.parametrize(
    "document",
    [{}, {"request_id": "a"}, {"request_id": "a", "label": "eggs"}, {"request_id": "", "label": "spam"},
     {"request_id": "a", "label": "spam", "more": 1}, {"request_id": "x" * 129, "label": "ham"}, 5],
)  # fmt: skip
async def test_wrong_feedback_is_422(stand: Stand, document: Any) -> None:
    """Nothing is written of it."""
    assert problem_of(await stand.client.post(paths.FEEDBACK, json=document))["code"] == "validation_failed"


async def test_an_unknown_prediction_is_404(stand: Stand) -> None:
    """Whatever its name looks like."""
    for name in ("nobody", "x" * 500, "%00", "a b", "..", "%F0%9F%98%80"):
        answer = await stand.client.get(f"{paths.PREDICTIONS}/{name}")
        assert problem_of(answer)["code"] in {"unknown_prediction", "unknown_path"}, name


async def test_models_tells_what_answers_where(stand: Stand) -> None:
    """As far as the key reaches, or in one environment."""
    answer = await stand.client.get(paths.MODELS)
    models = answer.json()["models"]
    assert [(model["model"], model["environment"]) for model in models] == [
        ("spam-detector", "staging"), ("spam-detector", "production"),
    ]  # fmt: skip
    assert {model["takes"] for model in models} == {"emails"}
    assert models[0]["figures"] == {"f1": 0.9}
    versions = {model["environment"]: model["version"] for model in models}
    for environment, version in versions.items():
        told = await stand.predict(X_Environment=environment)
        assert told.json()["version"] == version
    one = await stand.client.get(paths.MODELS, headers={"X-Environment": "production"})
    assert [model["environment"] for model in one.json()["models"]] == ["production"]


async def test_the_protocol_is_passed_through(stand: Stand) -> None:
    """With the same key and environments; and its rows are remembered."""
    request = {"inputs": [{"name": "email", "datatype": "BYTES", "shape": [2], "data": [SPAM, HAM]}]}
    answer = await stand.client.post(
        "/v2/models/spam-detector/infer",
        json=request,
        headers={"X-Environment": "production", "X-Request-Id": "two-by-v2"},
    )
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    assert outputs["verdict"] == ["spam", "ham"]
    assert answer.headers["x-environment"] == "production"
    assert answer.headers["x-model-version"] == answer.json()["model_version"]
    kept = await remembered(stand, "two-by-v2.1")
    assert (kept["verdict"], kept["environment"]) == ("ham", "production")


@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/spam-detector",
        "/v2/models/spam-detector/ready",
    ],
)
async def test_pages_of_the_protocol_are_there(stand: Stand, path: str) -> None:
    """And need a key like everything below /v2."""
    assert (await stand.client.get(path)).status_code == 200
    assert (await stand.client.get(path, headers={"X-API-Key": "none"})).status_code == 401


@pytest.mark.parametrize(
    "path", ["/v2/models/../etc", "/v2/models/a%2Fb", "/v2//models", "/v2/models/%00", "/v2/x"]
)
async def test_other_paths_of_the_protocol_are_404(stand: Stand, path: str) -> None:
    """With the member that clients of the protocol read."""
    answer = await stand.client.get(path)
    told = problem_of(answer)
    assert answer.status_code == 404
    assert told["error"] == told["detail"]


async def test_a_client_that_leaves_is_no_error(stand: Stand) -> None:
    """There is nobody to answer; it is counted apart."""
    route = {"route": paths.PREDICT, "environment": "staging", "version": "", "status": "499"}
    before = stand.value("sluice_gateway_requests_total", **route)
    headers = [
        (b"x-api-key", stand.client.headers["x-api-key"].encode()),
        (b"content-type", b"application/json"),
    ]
    scope = {"type": "http", "method": "POST", "path": paths.PREDICT, "query_string": b"", "scheme": "http",
             "headers": headers, "client": ("127.0.0.1", 1)}  # fmt: skip
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": b'{"raw"', "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(_message: Any) -> None:
        raise AssertionError("somebody was answered who had left")

    await stand.gateway(scope, receive, send)
    assert stand.value("sluice_gateway_requests_total", **route) == before + 1
