"""The Open Inference Protocol passed through: what a client sees, what is remembered, what never goes on."""

import asyncio
import json
import struct
from typing import Any

import pytest

from gateway.backends.backend import Answer
from gateway.errors import (
    BodyTooLarge,
    MethodRefused,
    ModelUnknown,
    PathUnknown,
    RequestInvalid,
    UpstreamFailed,
    UpstreamNotReady,
)
from kit.errors import SluiceError
from kit.home import Home
from tests.gateway.upstream.servers import Request, Server, flowers, mails, number_answer, says, send
from tests.gateway.upstream.stand import (
    FLOWERS,
    MAILS,
    PRODUCTION,
    STAGING,
    Stand,
    asked,
    backend,
    contract_of,
    route,
    upstreams,
)

SECRET = "hunter2-secret"
ROW = [5.1, 3.5, 1.4, 0.2]


def request_of(*rows: list[float], **changes: Any) -> bytes:
    """Returns a request for rows of numbers."""
    features = {"name": "features", "datatype": "FP32", "shape": [len(rows), 4], "data": list(rows)}
    return json.dumps({"inputs": [features]} | changes).encode()


def mail_request(*emails: str, **changes: Any) -> bytes:
    """Returns a request for e-mails."""
    tensor = {"name": "email", "datatype": "BYTES", "shape": [len(emails)], "data": list(emails)}
    return json.dumps({"inputs": [tensor]} | changes).encode()


async def infer(stand: Stand, body: bytes, model: str = FLOWERS, **headers: str) -> Answer:
    """Returns the answer to an inference."""
    return await stand.backend.passed(asked(model=model), "POST", ["models", model, "infer"], headers, body)


def outputs(answer: Answer) -> list[str]:
    """Returns the names of the outputs that the client sees."""
    document = json.loads(answer.body[: answer.json_length])
    return [tensor["name"] for tensor in document["outputs"]]


async def test_numbers_are_remembered_with_what_was_answered(home: Home) -> None:
    """The class has its name, the numbers are those that the model saw."""
    async with Server(flowers()) as server:
        route(home, server.url, model=FLOWERS, contract=contract_of(FLOWERS))
        async with backend(home) as stand:
            answer = await infer(stand, request_of(ROW, [6, 3, 5, 2]))
    assert (answer.version, outputs(answer)) == ("1", ["label", "probabilities"])
    first, second = answer.rows
    assert (first.label, first.probability, first.facts.threshold) == ("versicolor", 0.5, None)
    assert first.facts.schema_digest == "5" * 64
    assert first.numeric == list(struct.unpack("<4f", struct.pack("<4f", *ROW)))
    assert second.numeric == [6, 3, 5, 2]
    assert server.requests[0].path == "/v2/models/iris/versions/1/infer"


@pytest.mark.parametrize(
    ("scores", "threshold", "verdict"),
    [((0.4, 0.6), 0.5, "yes"), ((0.4, 0.6), 0.7, "no"), ((0.3, 0.7), 0.7, "yes"), ((0.4, 0.6), None, "yes")],
)
async def test_the_threshold_of_the_bundle_decides_what_is_remembered(
    home: Home, scores: tuple[float, float], threshold: float | None, verdict: str
) -> None:
    """Equal is reached, in float32; of two classes the score is the last one's."""
    async with Server(flowers(scores=scores)) as server:
        contract = contract_of(FLOWERS, ("no", "yes"), threshold)
        route(home, server.url, model=FLOWERS, contract=contract)
        async with backend(home) as stand:
            (row,) = (await infer(stand, request_of(ROW))).rows
    assert (row.label, row.facts.threshold) == (verdict, threshold)
    assert row.probability == pytest.approx(scores[1])


async def test_a_client_sees_the_outputs_it_named(home: Home) -> None:
    """What is asked for the records' sake is taken out again, and its bytes with it."""
    async with Server(flowers()) as server:
        route(home, server.url, model=FLOWERS, contract=contract_of(FLOWERS))
        async with backend(home) as stand:
            answer = await infer(stand, request_of(ROW, id="seven", outputs=[{"name": "label"}]))
    assert outputs(answer) == ["label"]
    assert answer.json_length is not None
    assert answer.body[answer.json_length :] == struct.pack("<q", 1)
    assert answer.rows[0].label == "versicolor"
    asked_for = server.requests[0].document()
    assert [output["name"] for output in asked_for["outputs"]] == ["label", "probabilities"]
    assert asked_for["id"] == "seven"


async def test_e_mails_are_remembered_without_the_client_asking(home: Home) -> None:
    """Numbers and facts are added to the request and taken out of the answer."""
    async with Server(mails()) as server:
        route(home, server.url)
        async with backend(home) as stand:
            plain = await infer(stand, mail_request("one", "two"), MAILS)
            named = await infer(stand, mail_request("x", outputs=[{"name": "facts"}]), MAILS)
    assert outputs(plain) == ["probability", "label", "verdict"]
    assert [(row.facts.sender, row.label) for row in plain.rows] == [("one", "ham"), ("two", "ham")]
    assert all(len(row.numeric) == 24 and len(row.message_sha256 or "") == 64 for row in plain.rows)
    assert outputs(named) == ["facts"]
    assert named.rows[0].facts.sender == "x"


async def test_without_a_readable_bundle_a_class_is_its_number(home: Home) -> None:
    """In a cluster the server alone has the bundle."""
    async with (
        Server(flowers(version="3")) as server,
        backend(home, **upstreams({STAGING: {FLOWERS: server.url}})) as stand,
    ):
        answer = await infer(stand, request_of(ROW))
        assert server.requests[0].path == "/v2/models/iris/infer"
        (row,) = answer.rows
        assert (answer.version, row.label, row.facts.schema_digest) == ("3", "1", "unknown")
        other = await infer(stand, request_of(ROW, outputs=[{"name": "label"}]))
        assert (outputs(other), other.rows) == (["label"], [])


def with_input(**changes: Any) -> bytes:
    """Returns a request whose tensor is changed."""
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, 4], "data": ROW} | changes
    return json.dumps({"inputs": [tensor]}).encode()


NAN = struct.pack("<4f", 1, 2, 3, float("nan"))
WRONG: dict[str, bytes] = {
    "no JSON": b"{broken",
    "no object": b"[]",
    "not UTF-8": b'{"id": "\xff"}',
    "nothing": b"",
    "no inputs": b"{}",
    "inputs that are none": b'{"inputs": [1]}',
    "another input": with_input(name="numbers"),
    "another datatype": with_input(datatype="FP64"),
    "an unknown datatype": with_input(datatype="FLOAT"),
    "another shape": with_input(shape=[2, 2]),
    "no rows": with_input(shape=[0, 4], data=[]),
    "a negative shape": with_input(shape=[-1, 4]),
    "too few numbers": with_input(data=[1, 2]),
    "text": with_input(data=[SECRET, 1, 2, 3]),
    "a truth": with_input(data=[True, 1, 2, 3]),
    "a number too large": with_input(data=[1e39, 1, 2, 3]),
    "deep": with_input(data=json.loads("[" * 50 + "]" * 50)),
    "shared memory": with_input(data=ROW, parameters={"shared_memory_region": "a"}),
    "parameters that are none": with_input(parameters=[1]),
    "an id that is none": request_of(ROW, id=7),
    "a long id": request_of(ROW, id="i" * 1000),
    "an unknown output": request_of(ROW, outputs=[{"name": SECRET}]),
    "outputs that are none": request_of(ROW, outputs={"name": "label"}),
    "an output twice": request_of(ROW, outputs=[{"name": "label"}] * 2),
    "classification": request_of(ROW, outputs=[{"name": "label", "parameters": {"classification": 1}}]),
    "shared memory out": request_of(
        ROW, outputs=[{"name": "label", "parameters": {"shared_memory_region": "a"}}]
    ),
    "bytes without a tensor": request_of(ROW) + b"more",
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_no_request_does_not_reach_the_server(home: Home, wrong: str) -> None:
    """400 with our own words: Triton would answer 500 to some, and repeat the content."""
    async with Server(flowers()) as server:
        route(home, server.url, model=FLOWERS, contract=contract_of(FLOWERS))
        async with backend(home, breaker_failures=1) as stand:
            with pytest.raises(RequestInvalid) as raised:
                await infer(stand, WRONG[wrong])
            assert SECRET not in f"{raised.value.message} {raised.value.next_step}"
            assert not server.requests
            assert (await infer(stand, request_of(ROW))).version == "1"


@pytest.mark.parametrize(
    ("raw", "length"), [(NAN, None), (NAN[:12], None), (NAN + b"x", None), (b"", "999"), (b"", "two")]
)
async def test_bytes_that_are_no_tensor_do_not_reach_the_server(
    home: Home, raw: bytes, length: str | None
) -> None:
    """Numbers that are none, too few, too many; a length of the JSON that cannot be."""
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "features",
                    "datatype": "FP32",
                    "shape": [1, 4],
                    "parameters": {"binary_data_size": 16},
                }
            ]
        }
    ).encode()
    headers = {"inference-header-content-length": length or str(len(head))}
    async with Server(flowers()) as server:
        route(home, server.url, model=FLOWERS, contract=contract_of(FLOWERS))
        async with backend(home) as stand:
            with pytest.raises(RequestInvalid):
                await infer(stand, head + raw, **headers)
            assert not server.requests


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, RequestInvalid),
        (404, UpstreamNotReady),
        (413, BodyTooLarge),
        (429, UpstreamNotReady),
        (500, UpstreamFailed),
        (302, UpstreamFailed),
        (401, UpstreamFailed),
        (503, UpstreamNotReady),
    ],
)
async def test_triton_s_words_never_leave(home: Home, status: int, expected: type[SluiceError]) -> None:
    """They may hold what a caller sent; of its errors only the status is believed."""
    async with Server(says({"error": SECRET, "detail": SECRET}, status=status)) as server:
        route(home, server.url, model=FLOWERS, contract=contract_of(FLOWERS))
        async with backend(home) as stand:
            with pytest.raises(SluiceError) as raised:
                await infer(stand, request_of(ROW))
    assert type(raised.value) is expected
    assert SECRET not in f"{raised.value.message} {raised.value.next_step}"


async def test_a_version_that_the_server_does_not_have_is_unknown(home: Home) -> None:
    """In a cluster only the server knows; a version that nobody named is one that is loaded just now."""
    models = {STAGING: {FLOWERS: "", MAILS: ""}}
    gone = says({"code": "unknown_model", "error": SECRET}, status=404)
    async with Server(gone) as server:
        models[STAGING] = dict.fromkeys(models[STAGING], server.url)
        async with backend(home, **upstreams(models)) as stand:
            for model, body in ((FLOWERS, request_of(ROW)), (MAILS, mail_request("x"))):
                steps = ["models", model, "versions", "7", "infer"]
                with pytest.raises(ModelUnknown, match="version"):
                    await stand.backend.passed(asked(model=model), "POST", steps, {}, body)
            with pytest.raises(UpstreamNotReady):
                await infer(stand, request_of(ROW))
            with pytest.raises(UpstreamFailed):
                await infer(stand, mail_request("x"), MAILS)


async def test_a_transformer_s_own_sentence_goes_on(home: Home) -> None:
    """It is of this house, and tells what to change."""
    told = {"code": "invalid_request", "detail": "A request holds 1 to 128 e-mails, and this one 200."}
    async with Server(says(told, status=400)) as server:
        route(home, server.url)
        async with backend(home) as stand:
            with pytest.raises(RequestInvalid, match="1 to 128 e-mails, and this one 200"):
                await infer(stand, mail_request(*["x"] * 200), MAILS)


@pytest.mark.parametrize(
    "how",
    [
        {"scores": (0.2, float("nan"), 0.3)},
        {"scores": (0.2, 1.5, 0.3)},
        {"scores": (0.5, 0.5)},
        {"label": 7},
        {"label": -1},
        {"model": "daisies"},
        {"version": "2"},
    ],
)
async def test_what_triton_may_not_answer_is_not_passed_on(home: Home, how: dict[str, Any]) -> None:
    """Numbers that are none, classes that are none, another model, another version."""
    async with Server(flowers(**how)) as server:
        route(home, server.url, model=FLOWERS, contract=contract_of(FLOWERS))
        async with backend(home) as stand:
            with pytest.raises(UpstreamFailed):
                await infer(stand, request_of(ROW))


@pytest.mark.parametrize("status", [404, 503])
async def test_a_request_follows_a_route_that_moves_under_it(home: Home, status: int) -> None:
    """Nobody notices that the former version was unloaded."""
    async with Server(flowers()) as server:
        route(home, server.url, model=FLOWERS, contract=contract_of(FLOWERS))

        async def promoted(request: Request, writer: asyncio.StreamWriter) -> None:
            if "/versions/1/" in request.path:
                route(home, server.url, model=FLOWERS, version="2", contract=contract_of(FLOWERS))
                await send(writer, {"error": SECRET}, status=status)
            else:
                body, length = number_answer(request, version="2")
                await send(writer, body, headers={"Inference-Header-Content-Length": str(length)})

        async with backend(home) as stand:
            server.behaviour = promoted
            assert (await infer(stand, request_of(ROW))).version == "2"
            assert len(server.requests) == 2


PATHS: dict[str, type[SluiceError]] = {
    "repository/index": PathUnknown,
    "repository/models/iris/load": PathUnknown,
    "repository/models/iris/unload": PathUnknown,
    "systemsharedmemory/region/a/register": PathUnknown,
    "cudasharedmemory/status": PathUnknown,
    "logging/": PathUnknown,
    "trace/setting": PathUnknown,
    "models/stats": ModelUnknown,
    "models/iris/trace/setting": PathUnknown,
    "models/iris/load": PathUnknown,
    "models/iris/versions/1/unload": PathUnknown,
    "models/iris/generate": PathUnknown,
    "models/iris/versions/0": ModelUnknown,
    "models/iris/versions/..": ModelUnknown,
    "models/iris/versions/1%2f..": ModelUnknown,
    "models/iris/versions/2": ModelUnknown,
    "models/../iris": PathUnknown,
    "models/..": ModelUnknown,
    "models/iris%2F..": ModelUnknown,
    "models/": ModelUnknown,
    "models/spam-detector/config": PathUnknown,
    "models/spam-detector/stats": PathUnknown,
    "models/iris/infer": MethodRefused,
}
CONTROL = [("POST", path) for path in PATHS if path.endswith(("load", "register", "setting", "logging/"))]


@pytest.mark.parametrize(("method", "path"), [("GET", path) for path in PATHS] + CONTROL)
async def test_only_what_is_listed_is_passed_on(home: Home, method: str, path: str) -> None:
    """Nothing that loads, unloads, shares memory or leaves the place; the server is not asked."""
    steps = path.split("/")
    async with Server(flowers()) as server:
        route(home, server.url, model=FLOWERS, contract=contract_of(FLOWERS))
        route(home, server.url)
        async with backend(home) as stand:
            with pytest.raises(PATHS[path]):
                await stand.backend.passed(asked(model=steps[1]), method, steps, {}, b"{}")
            assert not server.requests


async def test_pages_of_a_model_are_passed_on(home: Home) -> None:
    """Its description, configuration and counts, each only if it is of that model."""
    pages: dict[str, dict[str, Any]] = {
        "/v2/models/iris/versions/1": {"name": FLOWERS, "versions": ["1"]},
        "/v2/models/iris/versions/1/config": {"name": FLOWERS, "backend": "python"},
        "/v2/models/iris/versions/1/stats": {"model_stats": [{"name": FLOWERS}]},
        "/v2/models/iris/versions/1/ready": {},
    }

    async def paged(request: Request, writer: asyncio.StreamWriter) -> None:
        await send(writer, pages[request.path])

    async with Server(paged) as server:
        route(home, server.url, model=FLOWERS, contract=contract_of(FLOWERS))
        async with backend(home) as stand:
            for name in ([], ["config"], ["stats"]):
                steps = ["models", FLOWERS, *name]
                answer = await stand.backend.passed(asked(model=FLOWERS), "GET", steps, {}, b"")
                assert (
                    json.loads(answer.body) == pages["/".join(["", "v2", "models", "iris/versions/1", *name])]
                )
            ready = await stand.backend.passed(
                asked(model=FLOWERS), "GET", ["models", FLOWERS, "ready"], {}, b""
            )
            assert json.loads(ready.body) == {"name": FLOWERS, "ready": True}
            server.behaviour = says({"name": "daisies", "model_stats": [{"name": "daisies"}]})
            for name in ([], ["config"], ["stats"]):
                with pytest.raises(UpstreamFailed):
                    await stand.backend.passed(
                        asked(model=FLOWERS), "GET", ["models", FLOWERS, *name], {}, b""
                    )
            server.behaviour = says(b'{"error": "Model version not ready"}', status=400)
            with pytest.raises(UpstreamNotReady):
                await stand.backend.passed(asked(model=FLOWERS), "GET", ["models", FLOWERS, "ready"], {}, b"")


async def test_the_gateway_speaks_for_itself_as_a_server(home: Home) -> None:
    """Live always; ready when the environment is."""
    async with Server(mails()) as server:
        route(home, server.url)
        async with backend(home) as stand:

            async def page(*steps: str, environment: str = STAGING) -> tuple[int, Any]:
                headers = {"x-environment": environment}
                answer = await stand.backend.passed(None, "GET", steps, headers, b"")
                return answer.status, json.loads(answer.body)

            assert (await page())[1]["extensions"] == ["binary_tensor_data"]
            assert await page("health", "live") == (200, {"live": True})
            assert await page("health", "ready") == (200, {"ready": True})
            status, told = await page("health", "ready", environment=PRODUCTION)
            assert (status, told["ready"]) == (503, False)
            with pytest.raises(PathUnknown):
                await page("health", "sleep")
            with pytest.raises(MethodRefused):
                await stand.backend.passed(None, "POST", ["health", "live"], {}, b"")
