"""The transformer as a process before a real Triton: answers, limits, versions, neighbours that die."""

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as tritonhttp
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from contracts.environments import Environment
from contracts.explanations import Explanation
from contracts.facts import Facts
from contracts.features import NUMERIC_NAMES
from feature_repo.events import message_event, subject_sha256
from feature_repo.hostile_mail import HOSTILE
from feature_repo.online import SenderLookup
from feature_repo.push import push
from feature_repo.redis_server import _binary
from feature_repo.settings import FeatureRepoSettings
from feature_repo.store import apply, open_store
from gateway.asked import Asked, Caller
from gateway.backends.embedded import EmbeddedBackend
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.bundle import Bundle
from kit.home import Home
from kit.onnx_function import OnnxFunction
from serving import load
from serving.extraction import extract_raw, model_inputs
from serving.runtimes.triton import free_ports
from serving.transformer import MODEL
from serving.verdicts import verdicts
from tests.serving.bundles import BOTH_WORDS, HAM_WORDS, SPAM_WORDS
from tests.serving.transformer.stand import (
    INFER,
    TransformerProcess,
    TritonProcess,
    outputs,
    transformer,
    until,
)

pytestmark = pytest.mark.xdist_group("transformer")

ANN = "ann@known.example"
MAIL = (
    b"From: Ann <ann@known.example>\r\nTo: b@c.example\r\nSubject: Meeting report\r\n\r\n"
    b"minutes attached thanks\r\n"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose SQLite store knows one sender."""
    folder = tmp_path_factory.mktemp("home")
    store = open_store(Home(folder), FeatureRepoSettings.load())
    apply(store)
    now = datetime.now(UTC)
    events = [
        message_event(
            message_id=f"{at:064x}",
            sender=ANN,
            at=now - timedelta(days=10 - at),
            subject=str(at),
            has_link=True,
        )
        for at in range(3)
    ]
    push(store, [event for event in events if event is not None], now=now)
    return folder


@pytest.fixture(scope="module")
def triton(
    tmp_path_factory: pytest.TempPathFactory, mails_1: Bundle, mails_2: Bundle
) -> Iterator[TritonProcess]:
    """A Triton with two versions; 3 is the second one's graph under another number."""
    process = TritonProcess(tmp_path_factory.mktemp("triton"), {"1": mails_1, "2": mails_2, "3": mails_2})
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, home: Path, triton: TritonProcess, mails_1: Bundle
) -> Iterator[TransformerProcess]:
    """A transformer with version 1; a busy machine is given time to look senders up."""
    patience = {"TRANSFORMER_SENDER_BUDGET_SECONDS": "10"}
    with transformer(tmp_path_factory.mktemp("usual") / "run", home, **patience) as process:
        process.follow(triton.route("1", mails_1))
        process.until_ready("1")
        yield process


def ordinary(count: int) -> list[bytes]:
    """Returns quiet and loud messages, of words that the models know and of others."""
    chosen = random.Random(7)
    made = []
    for at in range(count):
        loud = at % 2
        words = [*(SPAM_WORDS if loud else HAM_WORDS), *BOTH_WORDS, "unknown", "grüße", "50%"]
        text = " ".join(chosen.choices(words, k=chosen.randint(0, 60)))
        links = " http://a.example/x" * chosen.randint(0, 8 * loud)
        lines = [
            f"From: N{'ame' * loud} <{ANN if at % 3 == 0 else f'u{10 ** (5 * loud) + at}@else.example'}>",
            f"To: {', '.join(f'r{one}@c.example' for one in range(chosen.randint(1, 1 + 8 * loud)))}",
            f"Reply-To: x@{'other' if loud else 'else'}.example",
            f"Subject: {text[:10]}{'!?%$' * chosen.randint(0, 2 * loud)}",
        ]
        made.append("\n".join([*lines, "", text + links]).encode())
    return made


def hostile() -> list[bytes]:
    """Returns messages that are none, or made to be slow."""
    chosen = random.Random(8)
    recipients = b"To: " + b"someone@host.example, " * 10_000 + b"\n\nhello"
    bomb = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/zip\n"
        b"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=a.zip\n\n"
        + b"UEsDBBQAAAAIAA" * 2000 + b"\n--b--\n"
    )  # fmt: skip
    return [
        b"", b"\0", b"\0" * 5000, b"\xff\xfe" * 300, b"\r", b"{", b"{}", b"[1]", b"Subject:",
        b"Subject: \xf0\x28", b"From: \0@\0\n\n\0prize\0winner",
        "Subject: \ud83d".encode("utf-8", "surrogatepass"), recipients, bomb,
        *[make(300) for make in HOSTILE.values()],
        *[make(5000) for make in HOSTILE.values()],
        *[chosen.randbytes(chosen.randint(1, 400)) for _ in range(60)],
    ]  # fmt: skip


def expected(bundle: Bundle, home: Path, messages: list[bytes]) -> dict[str, Any]:
    """Returns what the bundle's own graph says of raw messages, with the senders' history of `home`."""
    features = FeatureRepoSettings.load()
    extracted = [extract_raw(message, features) for message in messages]
    lookup = SenderLookup(open_store(Home(home), features), CollectorRegistry())
    inputs = model_inputs(extracted, lookup.lookup([one.sender for one in extracted], datetime.now(UTC)))
    answers = OnnxFunction(bundle.model.read_bytes())(inputs)
    return {
        "probability": answers["probabilities"][:, -1],
        "label": answers["label"],
        "verdict": verdicts(bundle.contract, answers["label"], answers["probabilities"]),
        "numeric": inputs["numeric"],
    }


def test_the_wire_gives_what_the_bundle_s_graph_gives(
    served: TransformerProcess, home: Path, mails_1: Bundle
) -> None:
    """Ordinary and hostile messages, alone and in batches that are cut into several calls."""
    messages = ordinary(120) + hostile()
    assert len(messages) > 280
    wanted = expected(mails_1, home, messages)
    assert len(set(wanted["label"])) == 2
    assert len(np.unique(wanted["numeric"][:, 16])) == 2  # a known sender and unknown ones
    got: dict[str, list[Any]] = {name: [] for name in wanted}
    step = 70
    for at in range(0, len(messages), step):
        for name, data in outputs(served.infer(messages[at : at + step], *wanted)).items():
            got[name] += data
    assert got["label"] == wanted["label"].tolist()
    assert got["verdict"] == wanted["verdict"]
    assert np.array_equal(np.array(got["numeric"], np.float32).reshape(-1, 24), wanted["numeric"])
    assert np.abs(np.array(got["probability"]) - wanted["probability"]).max() <= 1e-6
    for at in range(0, len(messages), 9):
        alone = outputs(served.infer([messages[at]]))
        assert alone["label"] == [wanted["label"][at]]
        assert abs(alone["probability"][0] - wanted["probability"][at]) <= 1e-6


def test_structured_and_raw_e_mails_are_told_apart(served: TransformerProcess) -> None:
    """By their first character, or by what the caller says; a structured one that is none is refused."""
    structured = {
        "from": f"Ann <{ANN}>",
        "to": "b@c.example",
        "subject": "Meeting report",
        "body": "minutes attached thanks",
    }

    def asked(element: str, **parameters: str) -> Any:
        tensor = {
            "name": "email",
            "datatype": "BYTES",
            "shape": [1],
            "data": [element],
            "parameters": parameters,
        }
        return served.client.post(INFER, json={"inputs": [tensor]})

    raw = outputs(served.infer([MAIL]))["probability"]
    as_json = json.dumps(structured)
    assert outputs(asked(as_json))["probability"] == raw
    assert outputs(asked(as_json, content_type="application/json"))["probability"] == raw
    assert outputs(asked(as_json, content_type="message/rfc822"))["probability"] != raw
    assert outputs(asked(MAIL.decode()))["probability"] == raw
    for wrong in (MAIL.decode(), "{}x", '{"colour": 1}', "[]"):
        refused = asked(wrong, content_type="application/json")
        assert (refused.status_code, refused.json()["code"]) == (422, "email_refused")
        assert refused.json()["detail"].startswith("Element 0:")


def test_facts_of_the_text_come_on_request(served: TransformerProcess) -> None:
    """As JSON, without a word of the message."""
    told = json.loads(outputs(served.infer([MAIL], "text_statistics"))["text_statistics"][0])
    assert told["token_count"] > 3
    assert 0 < told["known_share"] <= 1
    assert all(isinstance(value, int | float) for value in told.values())


def test_facts_to_remember_come_on_request(served: TransformerProcess, mails_1: Bundle) -> None:
    """Whose e-mail it was, by which rules it was judged; of a stranger all is known: that he is one."""
    stranger = b"From: N <new@else.example>\nSubject: x\n\nhello"
    told = outputs(served.infer([MAIL, stranger, b""], "facts", "text_statistics"))
    known, new, empty = (Facts.model_validate_json(text) for text in told["facts"])
    assert (known.sender, known.sender_domain, known.defaulted_features) == (ANN, "known.example", 0)
    assert known.subject_sha256 == subject_sha256("Meeting report")
    assert known.text_statistics == json.loads(told["text_statistics"][0])
    assert (known.threshold, known.schema_digest) == (
        mails_1.contract.threshold,
        mails_1.contract.schema_digest,
    )
    assert (new.sender, new.defaulted_features) == ("new@else.example", 0)
    assert (empty.sender, empty.subject_sha256, empty.defaulted_features) == ("", None, 0)


async def test_the_gateway_alone_answers_the_same_to_the_last_bit(
    served: TransformerProcess, home: Path, mails_1: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same bundle and the same store of senders: every output, of ordinary and of hostile messages."""
    monkeypatch.setenv("SLUICE_HOME", str(home))
    bundles = {Environment.STAGING: mails_1.folder}
    settings = GatewaySettings.load(backend="embedded", bundles=bundles, embedded_senders=True)
    alone = EmbeddedBackend(settings, Home(home), Measures())
    await alone.start()
    try:
        async with asyncio.timeout(120):
            while alone.degraded is not None:  # noqa: ASYNC110 - the store is being opened
                await asyncio.sleep(0.05)
        messages = [MAIL, *ordinary(30), *hostile()[:14]]
        names = ("probability", "label", "verdict", "numeric", "text_statistics", "facts")
        wanted = outputs(await asyncio.to_thread(served.infer, messages, *names))
        raw = b"".join(len(message).to_bytes(4, "little") + message for message in messages)
        about = {"binary_data_size": len(raw), "content_type": "message/rfc822"}
        tensor = {"name": "email", "datatype": "BYTES", "shape": [len(messages)], "parameters": about}
        head = json.dumps({"inputs": [tensor], "outputs": [{"name": name} for name in names]}).encode()
        caller = Caller("k", "a caller", frozenset(Environment))
        deadline = asyncio.get_running_loop().time() + 60
        asked = Asked("r", Environment.STAGING, MODEL, caller, deadline, "")
        length = {"inference-header-content-length": str(len(head))}
        answer = await alone.passed(asked, "POST", ("models", MODEL, "infer"), length, head + raw)
        found = {output["name"]: output["data"] for output in json.loads(answer.body)["outputs"]}
        assert found == wanted
        assert {Facts.model_validate_json(text).defaulted_features for text in found["facts"]} == {0}
        count = NUMERIC_NAMES.index("sender_message_count")
        numeric = np.array(found["numeric"]).reshape(len(messages), -1)
        assert (numeric[0, count] > 0, numeric[-1, count]) == (True, 0)
    finally:
        await alone.close()


def test_an_explanation_adds_up_to_its_probability(served: TransformerProcess) -> None:
    """What decided, largest first; off unless it is named."""
    answered = outputs(served.infer([MAIL, b"winner prize"], "probability", "explanation"))
    for probability, text in zip(answered["probability"], answered["explanation"], strict=True):
        told = Explanation.model_validate_json(text)
        parts = [one.contribution for one in told.top]
        assert abs(told.base_value + sum(parts) + told.rest - told.margin) < 1e-9
        assert abs(1 / (1 + np.exp(-told.margin)) - probability) < 1e-5
        assert [abs(part) for part in parts] == sorted(map(abs, parts), reverse=True)
    assert "explanation" not in outputs(served.infer([MAIL]))


def test_metadata_and_health_are_told_as_the_protocol_says(served: TransformerProcess) -> None:
    """Name, versions, tensors; live and ready; the header of the version in an answer."""
    metadata = served.client.get(f"/v2/models/{MODEL}").json()
    assert (metadata["name"], metadata["versions"]) == (MODEL, ["1"])
    assert metadata["inputs"] == [{"name": "email", "datatype": "BYTES", "shape": [-1]}]
    assert {"name": "numeric", "datatype": "FP32", "shape": [-1, 24]} in metadata["outputs"]
    assert served.client.get(f"/v2/models/{MODEL}/versions/1").json() == metadata
    assert served.client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert served.client.get("/v2/health/live").json() == {"live": True}
    assert served.client.get(f"/v2/models/{MODEL}/versions/1/ready").status_code == 200
    answer = served.infer([MAIL], **{"X-Request-Id": "seven"})
    assert (answer.headers["x-model-version"], answer.json()["model_version"]) == ("1", "1")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v2/models/other/infer", 404, "unknown_model"),
        ("POST", f"/v2/models/{MODEL}/versions/9/infer", 404, "unknown_model"),
        ("GET", "/v2/models/other", 404, "unknown_model"),
        ("GET", f"/v2/models/{MODEL}/versions/9/ready", 404, "unknown_model"),
        ("GET", "/v3", 404, "unknown_path"),
        ("GET", INFER, 405, "method_refused"),
        ("POST", "/v2", 405, "method_refused"),
        ("POST", INFER, 400, "invalid_request"),
    ],
)
def test_what_is_not_here_is_a_problem_with_a_next_step(
    served: TransformerProcess, method: str, path: str, status: int, code: str
) -> None:
    """In the form of RFC 9457, and with the member that clients of the protocol read."""
    answer = served.client.request(method, path, headers={"X-Request-Id": "seven"})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["request_id"]) == (status, code, "seven")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["error"] == problem["detail"]


def test_bodies_are_refused_by_their_size_before_they_are_read(served: TransformerProcess) -> None:
    """10 MB, told or not told beforehand; the connection stays usable."""
    large = b"x" * (10 << 20)
    for _ in range(3):
        told = served.client.post(INFER, content=large)
        assert (told.status_code, told.json()["code"]) == (413, "body_too_large")
    untold = served.client.post(INFER, content=iter([large]))
    assert untold.status_code == 413
    host, port = served.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 413")
    assert served.infer([MAIL]).status_code == 200


def test_a_head_without_end_ends_its_connection(served: TransformerProcess) -> None:
    """It is not kept in memory until it is whole."""
    host, port = served.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(f"POST {INFER} HTTP/1.1\r\nHost: a\r\nX-Long: ".encode())
        with pytest.raises(ConnectionError):
            client.sendall(bytes(64 << 20))
    assert served.infer([MAIL], **{"X-Long": "x" * 20_000}).status_code == 200


def test_times_and_encodings_are_read_strictly(served: TransformerProcess) -> None:
    """A time that is none, a compressed body, a body that does not come, and a time that is over."""
    assert served.infer([MAIL], **{"X-Request-Timeout-Ms": "soon"}).status_code == 400
    assert served.infer([MAIL], **{"Content-Encoding": "gzip"}).status_code == 415
    late = served.infer([MAIL] * 100, **{"X-Request-Timeout-Ms": "1"})
    assert (late.status_code, late.json()["code"]) in {(504, "deadline_passed"), (408, "body_late")}
    assert late.status_code == 408 or late.headers["retry-after"] == "1"
    host, port = served.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        head = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nX-Request-Timeout-Ms: 50\r\n\r\n{{"
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 408")


def test_a_hostile_client_fails_no_other_one(served: TransformerProcess, home: Path, mails_1: Bundle) -> None:
    """Fifteen send ordinary messages, one what is broken, huge or slow; memory stays bounded."""
    messages = ordinary(60)
    wanted = expected(mails_1, home, messages)
    bad = [*hostile()[:14], *(make(1 << 20) for make in list(HOSTILE.values())[::6]), b"x" * (9 << 20)]
    good_requests = [_request(served, message) for message in messages]
    bad_requests = [_request(served, message) for message in bad]
    before = _resident(served)

    async def both() -> tuple[list[load.Answer], list[load.Answer]]:
        return await asyncio.gather(
            load.closed_loop(served.host, good_requests, connections=15, count=600, keep_bodies=True),
            load.closed_loop(served.host, bad_requests, connections=1),
        )

    good, evil = asyncio.run(both())
    assert {answer.status for answer in good} == {200}
    for answer in good:
        labels = {one["name"]: one["data"][0] for one in json.loads(answer.body)["outputs"]}
        assert labels["label"] == wanted["label"][answer.request]
        assert abs(labels["probability"] - wanted["probability"][answer.request]) <= 1e-6
    assert len(evil) == len(bad)
    assert {answer.status for answer in evil} <= {200, 413, 504}
    assert _resident(served) - before < 300 << 20


def test_unmodified_clients_work(served: TransformerProcess) -> None:
    """Tritonclient here; kserve in a process of its own, because it cannot be imported beside the other."""
    client = tritonhttp.InferenceServerClient(served.host)
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(MODEL)
        assert client.get_model_metadata(MODEL)["name"] == MODEL
        wanted = outputs(served.infer([MAIL, b"winner prize"]))
        for binary in (True, False):
            tensor = tritonhttp.InferInput("email", [2], "BYTES")
            tensor.set_data_from_numpy(np.array([MAIL, b"winner prize"], dtype=object), binary_data=binary)
            result = client.infer(MODEL, [tensor], model_version="1" if binary else "")
            assert result.as_numpy("label").tolist() == wanted["label"]
            assert np.allclose(result.as_numpy("probability"), wanted["probability"], atol=1e-7)
            assert [name.decode() for name in result.as_numpy("verdict")] == wanted["verdict"]
            some = [tritonhttp.InferRequestedOutput("numeric", binary_data=binary)]
            assert client.infer(MODEL, [tensor], outputs=some).as_numpy("numeric").shape == (2, 24)
        tensor = tritonhttp.InferInput("email", [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[MAIL]], dtype=object))
        with pytest.raises(tritonhttp.InferenceServerException, match="is \\[N\\]"):
            client.infer(MODEL, [tensor])
    finally:
        client.close()
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("kserve_client.py")), f"http://{served.host}", MODEL],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert json.loads(run.stdout.splitlines()[-1]) == {
        "live": True, "ready": True, "model": True, "json": wanted["label"], "binary": wanted["label"],
    }  # fmt: skip


def test_a_new_version_takes_over_without_a_lost_request(
    served: TransformerProcess, triton: TritonProcess, mails_1: Bundle, mails_2: Bundle
) -> None:
    """Each answer is from a version that was current, and is that version's own answer."""
    message = ordinary(2)[1]
    requests = [_request(served, message)]
    stop = threading.Event()
    answers: list[load.Answer] = []

    def clients() -> None:
        while not stop.is_set():
            answers.extend(
                asyncio.run(
                    load.closed_loop(served.host, requests, connections=8, count=80, keep_bodies=True)
                )
            )

    thread = threading.Thread(target=clients)
    thread.start()
    try:
        for version, bundle in (("2", mails_2), ("1", mails_1), ("2", mails_2)):
            _more(answers)
            served.follow(triton.route(version, bundle))
            served.until_ready(version)
        told = outputs(served.infer([message]))
    finally:
        stop.set()
        thread.join()
        served.follow(triton.route("1", mails_1))
        served.until_ready("1")
    assert {answer.status for answer in answers} == {200}
    assert {answer.version for answer in answers} == {"1", "2"}
    by_version: dict[str | None, set[float]] = {"1": set(), "2": set()}
    for answer in answers:
        document = json.loads(answer.body)
        assert document["model_version"] == answer.version
        by_version[answer.version].add(document["outputs"][0]["data"][0])
    assert [len(values) for values in by_version.values()] == [1, 1]
    assert by_version["2"] == set(told["probability"])
    assert by_version["1"] != by_version["2"]


def test_a_version_that_answers_otherwise_is_refused_and_the_former_stays(
    served: TransformerProcess, triton: TritonProcess, mails_1: Bundle, mails_2: Bundle, tmp_path: Path
) -> None:
    """Another model under that number, a damaged bundle, a file that is no route; then the way back."""
    served.follow(triton.route("2", mails_1))  # Triton has the other graph under 2
    until(lambda: "refused" in served.readiness(), "a refusal")
    told = served.readiness()
    assert (told["code"], told["version"], told["refused"]["version"]) == (200, "1", "2")
    assert "golden rows" in told["refused"]["reason"]
    assert served.infer([MAIL]).json()["model_version"] == "1"

    served.follow(triton.route("3", mails_2).model_copy(update={"bundle": tmp_path}))
    until(lambda: served.readiness()["refused"]["version"] == "3", "a refusal")
    assert "contract.json" in served.readiness()["refused"]["reason"]

    served._route.write_text("{", encoding="utf-8")
    until(lambda: served.readiness()["refused"]["version"] == "unknown", "a refusal")

    served.follow(triton.route("7", mails_2))  # Triton has no such version: it may come yet
    until(lambda: "pending" in served.readiness(), "a version that is waited for")
    assert served.readiness()["version"] == "1"

    served.follow(triton.route("1", mails_1))
    until(lambda: not {"refused", "pending"} & set(served.readiness()), "the way back")
    assert served.readiness()["version"] == "1"
    assert _metric(served, "sluice_transformer_refused_versions_total") == 3


def test_a_dead_store_costs_defaults_and_no_answer(
    tmp_path_factory: pytest.TempPathFactory, triton: TritonProcess, mails_1: Bundle
) -> None:
    """Redis is killed and comes back: readiness says degraded and stays 200. When there is no room: 503."""
    folder = tmp_path_factory.mktemp("redis")
    port = free_ports().http
    environment = {
        "FEATURE_REPO_ONLINE_STORE": "redis",
        "FEATURE_REPO_REDIS_CONNECTION": f"127.0.0.1:{port}",
        "TRANSFORMER_SENDER_PAUSE_SECONDS": "0.2",
        "TRANSFORMER_SENDER_BUDGET_SECONDS": "5",
        "TRANSFORMER_MAX_REQUESTS_AT_ONCE": "2",
    }
    with transformer(folder / "run", folder / "home", **environment) as narrow:
        with _redis(folder, port) as server:
            narrow.follow(triton.route("1", mails_1))
            until(lambda: narrow.readiness().get("status") == "ready", str(narrow.log))
            wanted = outputs(narrow.infer([MAIL]))
            requests = [_request(narrow, message) for message in ordinary(20)]
            crowd = asyncio.run(load.closed_loop(narrow.host, requests, connections=24, count=240))
            assert {answer.status for answer in crowd} == {200, 503}
            assert {json.loads(answer.body)["code"] for answer in crowd if answer.body} == {"overloaded"}
            server.kill()
            server.wait(60)
            for _ in range(4):
                assert outputs(narrow.infer([MAIL])) == wanted
            until(lambda: narrow.readiness()["status"] == "degraded", "degraded")
            assert narrow.readiness()["code"] == 200
            assert outputs(narrow.infer([MAIL])) == wanted
            told = json.loads(outputs(narrow.infer([MAIL], "facts"))["facts"][0])
            assert told["defaulted_features"] == 8
            assert _metric(narrow, "sluice_transformer_defaulted_senders_total", reason="failed") >= 3
            assert _metric(narrow, "sluice_transformer_defaulted_senders_total", reason="paused") >= 1
        with _redis(folder, port):
            until(lambda: narrow.readiness()["status"] == "ready", "the store again")
            before = _metric(narrow, "sluice_transformer_defaulted_senders_total")
            assert outputs(narrow.infer([MAIL])) == wanted
            assert _metric(narrow, "sluice_transformer_defaulted_senders_total") == before
        assert narrow.stop() in {0, -signal.SIGTERM}


def test_a_killed_triton_is_told_and_found_again(served: TransformerProcess, triton: TritonProcess) -> None:
    """503 with Retry-After within the deadline, not ready; then answers again, without anybody's help."""
    requests = [_request(served, message) for message in ordinary(20)]
    triton.kill()
    try:
        away = asyncio.run(load.closed_loop(served.host, requests, connections=8, count=80))
        assert {answer.status for answer in away} == {503}
        assert {json.loads(answer.body)["code"] for answer in away} == {"predictor_down"}
        answer = served.infer([MAIL])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        until(lambda: served.readiness()["code"] == 503, "not ready")
        assert "reason" in served.readiness()
        assert served.client.get("/v2/health/live").status_code == 200
    finally:
        triton.start()
    served.until_ready("1")
    until(lambda: served.infer([MAIL]).status_code == 200, "answers")


def _more(answers: list[load.Answer]) -> None:
    """Waits for more answers than there are."""
    seen = len(answers)
    until(lambda: len(answers) > seen, "answers")


def _request(served: TransformerProcess, email: bytes) -> bytes:
    tensor = {
        "name": "email", "datatype": "BYTES", "shape": [1],
        "parameters": {"binary_data_size": len(email) + 4, "content_type": "message/rfc822"},
    }  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "X-Request-Timeout-Ms": "30000"}
    return load.post(served.host, INFER, head + len(email).to_bytes(4, "little") + email, headers)


def _metric(served: TransformerProcess, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(served.client.get("/metrics").text)
    samples = [one for family in families for one in family.samples if one.name == name]
    return sum(one.value for one in samples if labels.items() <= one.labels.items())


def _resident(served: TransformerProcess) -> int:
    fields = Path(f"/proc/{served.process.pid}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096


@contextmanager
def _redis(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Yields a Redis at a port of our choice, which may be killed."""
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([_binary(), *options], stdout=subprocess.DEVNULL)
    try:
        yield server
    finally:
        server.kill()
        server.wait(60)
