"""The gateway alone answers as the scorer does, in every form in which it can be asked."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from contracts.environments import Environment
from contracts.facts import Facts
from feature_repo.hostile_mail import HOSTILE
from feature_repo.settings import FeatureRepoSettings
from gateway.asked import Asked, Caller
from gateway.backends.backend import Email
from gateway.backends.embedded import EmbeddedBackend
from gateway.errors import ModelUnknown, UpstreamLate, UpstreamNotReady, ValidationFailed
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.bundle import Bundle
from kit.home import Home
from serving.scorer import Scorer
from tests.gateway.embedded.conftest import Opened

MODEL, INFER = "spam-detector", "/v2/models/spam-detector/infer"
STAGING, PRODUCTION = Environment.STAGING, Environment.PRODUCTION
SPAM = b"From: Win <win@example.org>\nSubject: WINNER prize!!!\n\nclaim your free casino prize $$$ click\n"
HAM = b"From: ann@example.org\nTo: bob@example.net\nSubject: agenda\n\nthe meeting report, thanks\n"
STRUCTURED = {"subject": "prize", "from": "a@b.example", "body": "refund"}
HUGE = [make(1 << 16) for make in HOSTILE.values()][::4]
CALLER = Caller("k", "a caller", frozenset(Environment))


def asked(environment: Environment = STAGING, model: str = MODEL, seconds: float = 60) -> Asked:
    """Returns a request that was let in."""
    return Asked("r", environment, model, CALLER, asyncio.get_running_loop().time() + seconds, "")


def backend(home: Home, **bundles: Path) -> EmbeddedBackend:
    """Returns a backend with a bundle for each environment, not started."""
    named = {Environment(name): folder for name, folder in bundles.items()}
    return EmbeddedBackend(GatewaySettings.load(backend="embedded", bundles=named), home, Measures())


async def test_each_environment_answers_by_its_own_bundle_to_the_last_bit(
    home: Home, mails_1: Bundle, mails_2: Bundle
) -> None:
    """Ordinary, empty, structured and hostile e-mails, together and alone: all that is answered."""
    raw = [SPAM, HAM, b"", b"\xff\x00\xfe", *HUGE]
    emails = [Email(data, structured=False) for data in raw]
    emails.append(Email(json.dumps(STRUCTURED).encode(), structured=True))
    one = backend(home, staging=mails_1.folder, production=mails_2.folder)
    await one.start()
    try:
        for environment, bundle in ((STAGING, mails_1), (PRODUCTION, mails_2)):
            scorer = Scorer(bundle, FeatureRepoSettings.load())
            wanted = scorer.score([email.data for email in emails], datetime.now(UTC))
            together = await one.predict(asked(environment), emails, explain=True)
            alone = [await one.predict(asked(environment), [email]) for email in emails[:3]]
            assert (together.model, together.version) == (MODEL, bundle.digest[:12])
            for at, item in enumerate([*together.items, *(answer.items[0] for answer in alone)]):
                row = at % len(emails)
                assert item.probability == wanted.probabilities[row, 1]
                assert item.verdict == wanted.verdicts[row]
                assert list(item.numeric) == wanted.numeric[row].tolist()
                assert item.facts == wanted.facts[row]
            told = [explanation.model_dump(mode="json") for explanation in scorer.explained(wanted)]
            assert [item.explanation for item in together.items] == told
    finally:
        await one.close()


async def test_what_cannot_be_answered_is_an_error_of_the_gateway(home: Home, mails_1: Bundle) -> None:
    """Another model, an environment without a bundle, a time that is over, an e-mail that is none."""
    one = backend(home, staging=mails_1.folder)
    await one.start()
    try:
        assert one.readiness(STAGING) == (True, None)
        assert one.readiness(PRODUCTION).reason is not None
        with pytest.raises(ModelUnknown):
            await one.predict(asked(model="iris"), [Email(SPAM, structured=False)])
        with pytest.raises(UpstreamNotReady):
            await one.predict(asked(PRODUCTION), [Email(SPAM, structured=False)])
        for data in (SPAM, SPAM * 1000):
            with pytest.raises(UpstreamLate):
                await one.predict(asked(seconds=-1), [Email(data, structured=False)])
            with pytest.raises(ValidationFailed):
                await one.predict(asked(), [Email(b'{"colour": 1}' + b" " * len(data), structured=True)])
    finally:
        await one.close()


async def test_the_whole_gateway_answers_json_messages_and_batches(opened: Opened, mails_1: Bundle) -> None:
    """One bad item fails alone; the environment is the one that was asked for."""
    wanted = Scorer(mails_1, FeatureRepoSettings.load()).score([SPAM, HAM], datetime.now(UTC))
    async with opened({STAGING: mails_1.folder, PRODUCTION: mails_1.folder}) as client:
        answer = (
            await client.post("/v1/predict", content=SPAM, headers={"X-Environment": "production"})
        ).json()
        assert answer["environment"] == "production"
        assert answer["probability"] == float(wanted.probabilities[0, 1])
        emails = [{"raw": SPAM.decode()}, {"colour": 1}, {"raw": HAM.decode()}]
        batch = await client.post(
            "/v1/predict/batch", json={"emails": emails}, headers={"Content-Type": "application/json"}
        )
        spam, bad, ham = batch.json()["items"]
        assert spam["result"]["probability"] == float(wanted.probabilities[0, 1])
        assert ham["result"]["verdict"] == wanted.verdicts[1]
        assert bad["problem"]["status"] == 422
        models = (await client.get("/v1/models")).json()["models"]
        assert {(each["environment"], each["version"]) for each in models} == {
            (name.value, mails_1.digest[:12]) for name in Environment
        }
        assert (await client.get("/health/ready")).status_code == 200


def binary(emails: list[bytes], **parameters: Any) -> tuple[bytes, dict[str, str]]:
    """Returns the body and the headers of a request that carries bytes and wants every output as bytes."""
    raw = b"".join(len(email).to_bytes(4, "little") + email for email in emails)
    names = ("probability", "label", "verdict", "numeric", "text_statistics", "facts", "explanation")
    head = json.dumps(
        {
            "id": "7",
            "inputs": [
                {
                    "name": "email", "datatype": "BYTES", "shape": [len(emails)],
                    "parameters": {"binary_data_size": len(raw), **parameters},
                }
            ],
            "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in names],
        }
    ).encode()  # fmt: skip
    return head + raw, {"Inference-Header-Content-Length": str(len(head))}


def tensors(answer: httpx.Response) -> dict[str, Any]:
    """Returns the tensors of a binary answer: arrays, or lists of bytes."""
    length = int(answer.headers["inference-header-content-length"])
    document, at = json.loads(answer.content[:length]), length
    assert (document["id"], document["model_name"]) == ("7", MODEL)
    found: dict[str, Any] = {}
    for tensor in document["outputs"]:
        raw = answer.content[at : at + tensor["parameters"]["binary_data_size"]]
        at += len(raw)
        if tensor["datatype"] == "BYTES":
            elements = []
            while raw:
                size = int.from_bytes(raw[:4], "little")
                elements.append(raw[4 : 4 + size])
                raw = raw[4 + size :]
            found[tensor["name"]] = elements
        else:
            kind = {"FP32": "<f4", "INT64": "<i8"}[tensor["datatype"]]
            found[tensor["name"]] = np.frombuffer(raw, kind).reshape(tensor["shape"])
    return found


async def test_the_open_inference_protocol_is_answered_as_json_and_as_bytes(
    opened: Opened, mails_1: Bundle
) -> None:
    """Every output by name; what is described is what is answered."""
    wanted = Scorer(mails_1, FeatureRepoSettings.load()).score([SPAM, HAM], datetime.now(UTC))
    async with opened({STAGING: mails_1.folder}) as client:
        body, heads = binary([SPAM, HAM], content_type="message/rfc822")
        answer = await client.post(INFER, content=body, headers=heads)
        found = tensors(answer)
        assert answer.headers["x-model-version"] == mails_1.digest[:12]
        assert (found["probability"] == wanted.probabilities[:, 1]).all()
        assert (found["label"] == wanted.labels).all()
        assert (found["numeric"] == wanted.numeric).all()
        assert [element.decode() for element in found["verdict"]] == list(wanted.verdicts)
        assert [Facts.model_validate_json(text) for text in found["facts"]] == list(wanted.facts)
        assert [json.loads(text) for text in found["text_statistics"]] == [
            facts.text_statistics for facts in wanted.facts
        ]
        assert all(json.loads(text)["top"] for text in found["explanation"])
        tensor = {"name": "email", "datatype": "BYTES", "shape": [1], "data": [json.dumps(STRUCTURED)]}
        told = (await client.post(INFER, json={"inputs": [tensor]})).json()
        assert [output["name"] for output in told["outputs"]] == ["probability", "label", "verdict"]
        described = (await client.get(f"/v2/models/{MODEL}")).json()
        assert described["versions"] == [mails_1.digest[:12]]
        assert {output["name"] for output in described["outputs"]} == set(found)
        ready = f"/v2/models/{MODEL}/versions/{mails_1.digest[:12]}/ready"
        assert (await client.get(ready)).json()["ready"] is True
        assert (await client.get("/v2")).json()["extensions"] == ["binary_tensor_data"]
        assert (await client.get("/v2/health/live")).status_code == 200
        assert (await client.get("/v2/health/ready")).status_code == 503  # production has no bundle


@pytest.mark.parametrize(
    ("method", "path", "content", "heads", "code"),
    [
        ("POST", INFER, b"{", {}, "invalid_request"),
        ("POST", INFER, b"{}", {"Inference-Header-Content-Length": "-1"}, "invalid_request"),
        ("POST", INFER, b"{}", {"Inference-Header-Content-Length": "9" * 30}, "invalid_request"),
        ("POST", INFER, b'{"inputs": []}', {}, "invalid_request"),
        (
            "POST", INFER,
            b'{"inputs": [{"name": "email", "datatype": "BYTES", "shape": [300], "data": []}]}',
            {}, "invalid_request",
        ),
        ("GET", INFER, b"", {}, "method_refused"),
        ("POST", "/v2/models/spam-detector", b"", {}, "method_refused"),
        ("POST", "/v2/models/spam-detector/versions/9/infer", b"{}", {}, "unknown_model"),
        ("POST", "/v2/models/iris/infer", b"{}", {}, "unknown_model"),
        ("GET", "/v2/models/spam-detector/config", b"", {}, "unknown_path"),
        ("GET", "/v2/repository/index", b"", {}, "unknown_path"),
    ],
)  # fmt: skip
async def test_what_is_no_request_of_the_protocol_is_refused(
    opened: Opened, mails_1: Bundle, method: str, path: str, content: bytes, heads: dict[str, str], code: str
) -> None:
    """With a problem document, which has the protocol's own `error` too."""
    async with opened({STAGING: mails_1.folder}) as client:
        answer = await client.request(method, path, content=content, headers=heads)
        assert answer.json()["code"] == code, answer.text
        assert answer.json()["error"]


async def test_a_large_request_keeps_no_small_one_from_its_answer(opened: Opened, mails_1: Bundle) -> None:
    """Both are answered, and a small one while a large one is worked on."""
    large = {"emails": [{"raw": "Subject: a\n\n" + "<p>" * 20_000}] * 32}
    async with opened({STAGING: mails_1.folder}) as client:
        waiting = asyncio.create_task(
            client.post("/v1/predict/batch", json=large, headers={"Content-Type": "application/json"})
        )
        small = 0
        while not waiting.done():
            await asyncio.sleep(0)  # without a network no request waits for anything
            assert (await client.post("/v1/predict", content=HAM)).status_code == 200
            small += 1
        answer = await waiting
        assert answer.status_code == 200, answer.text
        assert answer.json()["answered"] == 32
        assert small > 1
