"""Model servers that are slow, dead or lie: a defined error within the deadline, and no word of theirs."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import (
    Overloaded,
    RequestInvalid,
    UpstreamDown,
    UpstreamError,
    UpstreamFailed,
    UpstreamLate,
    UpstreamNotReady,
    ValidationFailed,
)
from kit.errors import SluiceError
from kit.home import Home
from tests.gateway.upstream.servers import (
    Behaviour,
    Request,
    Server,
    drips,
    floods,
    hangs,
    mail_answer,
    mails,
    resets,
    says,
    send,
    writes,
)
from tests.gateway.upstream.stand import (
    MAIL,
    MAILS,
    PATIENCE_SECONDS,
    PRODUCTION,
    STAGING,
    Stand,
    asked,
    backend,
    route,
    until,
)

SECRET = "hunter2-secret"
CALM = {"breaker_failures": 1000}


def changed(change: Callable[[dict[str, Any]], object]) -> Behaviour:
    """Answers rightly but for a change of the JSON."""

    def applied(document: dict[str, Any]) -> None:
        change(document)

    return mails(change=applied)


def output(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns one output of an answer."""
    found: dict[str, Any] = next(one for one in document["outputs"] if one["name"] == name)
    return found


def as_json(name: str, data: list[Any], **changes: Any) -> Behaviour:
    """Answers an output as JSON that cannot be."""

    def applied(document: dict[str, Any]) -> None:
        tensor = output(document, name)
        size = tensor.pop("parameters")["binary_data_size"]
        tensor |= {"data": data} | changes
        rest = {
            "name": "rest",
            "datatype": "UINT8",
            "shape": [size],
            "parameters": {"binary_data_size": size},
        }
        document["outputs"].insert(document["outputs"].index(tensor), rest)

    return mails(change=applied)


LIES: dict[str, Behaviour] = {
    "no JSON": says(b"certainly"),
    "no object": says(b"[]"),
    "empty": says(b""),
    "no outputs": says({"model_name": MAILS, "model_version": "1"}),
    "outputs that are none": says({"model_name": MAILS, "model_version": "1", "outputs": [1]}),
    "another model": mails(model="ham-detector"),
    "another version": mails(version="7"),
    "a version that is none": mails(version="../1"),
    "no version": changed(lambda document: document.pop("model_version")),
    "an output less": changed(lambda document: document["outputs"].pop(0)),
    "an output twice": changed(lambda document: document["outputs"].append(document["outputs"][0])),
    "another name": changed(lambda document: output(document, "verdict").update(name="opinion")),
    "another datatype": changed(lambda document: output(document, "probability").update(datatype="INT32")),
    "an unknown datatype": changed(lambda document: output(document, "label").update(datatype="FP7")),
    "another shape": changed(lambda document: output(document, "numeric").update(shape=[24, 1])),
    "a shape that is none": changed(lambda document: output(document, "label").update(shape=["1"])),
    "more rows": changed(lambda document: output(document, "probability").update(shape=[2])),
    "more bytes than there are": changed(
        lambda document: output(document, "facts").update(parameters={"binary_data_size": 1 << 40})
    ),
    "NaN": mails(probability=float("nan")),
    "infinity": mails(probability=float("inf")),
    "a probability above 1": mails(probability=1.5),
    "a probability below 0": mails(probability=-0.5),
    "a verdict that is none": mails(verdict="\x1b[2J"),
    "no verdict": mails(verdict=""),
    "text for a number": as_json("probability", [SECRET]),
    "facts that are none": as_json("facts", ['{"sender": 1}']),
    "an error with a secret": says(SECRET.encode(), status=500),
    "an error page": says({"error": SECRET, "detail": SECRET}, status=502),
    "a problem of nobody": says({"code": SECRET, "detail": SECRET}, status=418),
    "a redirect": says(b"", status=302, Location="http://127.0.0.1:1/elsewhere"),
    "compressed": says(b"\x1f\x8b", Content_Encoding="gzip"),
    "JSON longer than the body": says(b"{}", Inference_Header_Content_Length="3"),
    "a length that is none": says(b"{}", Inference_Header_Content_Length="two"),
    "no HTTP": writes(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "an endless head": writes(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000),
    "chunks that are none": writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnothing"),
    "an end in the middle": writes(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"),
    "too much": says(b"", Content_Length=str(1 << 40)),
    "without an end": floods(),
}  # fmt: skip


async def failure(stand: Stand, *, seconds: float = PATIENCE_SECONDS) -> SluiceError:
    """Returns the error that an e-mail is answered with."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(SluiceError) as raised:
            await stand.backend.predict(asked(seconds=seconds), [MAIL])
    return raised.value


def told(error: SluiceError) -> str:
    """Returns all words of an error that a client sees."""
    return f"{error.message} {error.next_step} {error.extensions()}"


@pytest.mark.parametrize("lie", LIES)
async def test_what_is_not_the_protocol_and_the_contract_is_never_passed_on(home: Home, lie: str) -> None:
    """502, and nothing of what the server said."""
    async with Server(LIES[lie]) as server:
        route(home, server.url)
        async with backend(home, **CALM) as stand:
            error = await failure(stand)
            assert type(error) is UpstreamFailed, told(error)
            assert SECRET not in told(error)
            assert stand.value(
                "sluice_gateway_upstream_errors_total", environment=STAGING, error="upstream_failed"
            )


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "invalid_request", UpstreamFailed),
        (422, "email_refused", ValidationFailed),
        (422, "not_explainable", ValidationFailed),
        (502, "predictor_failed", UpstreamFailed),
        (503, "predictor_down", UpstreamDown),
        (503, "not_ready", UpstreamNotReady),
        (503, "overloaded", Overloaded),
        (504, "deadline_passed", UpstreamLate),
    ],
)
async def test_problems_of_a_transformer_become_ours(
    home: Home, status: int, code: str, expected: type[SluiceError]
) -> None:
    """Only what the caller can mend is told in the transformer's own words."""
    behaviour = says({"code": code, "detail": "The field `to` is no list."}, status=status)
    async with Server(behaviour) as server:
        route(home, server.url)
        async with backend(home, **CALM) as stand:
            error = await failure(stand)
    assert type(error) is expected
    assert ("The field `to` is no list." in error.message) == (expected is ValidationFailed)


async def test_a_server_that_is_not_there_is_down(home: Home) -> None:
    """503, after as many tries as the settings say."""
    async with Server(mails()) as server:
        route(home, server.url)
    async with backend(home, upstream_tries=3, **CALM) as stand:
        error = await failure(stand)
        assert isinstance(error, UpstreamDown)
        errors = stand.value(
            "sluice_gateway_upstream_errors_total", environment=STAGING, error="upstream_down"
        )
        assert errors == 3
        assert not stand.backend.readiness(STAGING).ready


async def test_a_broken_connection_is_tried_again_over_another_one(home: Home) -> None:
    """An inference changes nothing, so the caller sees none of it."""
    answer = mails()

    async def first_resets(request: Request, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) % 2:
            writer.transport.abort()
        else:
            await answer(request, writer)

    async with Server(first_resets) as server:
        route(home, server.url)
        async with backend(home, **CALM) as stand:
            for _ in range(3):
                assert (await stand.backend.predict(asked(), [MAIL])).version == "1"
            assert len(server.requests) == 6


async def test_a_restarted_server_fails_nobody(home: Home) -> None:
    """Every pooled connection is dead then; the next one is new."""
    async with Server(mails()) as server:
        route(home, server.url)
        async with backend(home, **CALM) as stand:
            await asyncio.gather(*[stand.backend.predict(asked(), [MAIL]) for _ in range(10)])
            await server.stop()
            await server.listen()
            await asyncio.gather(*[stand.backend.predict(asked(), [MAIL]) for _ in range(10)])


@pytest.mark.parametrize("behaviour", [hangs(), drips()], ids=["hangs", "drips"])
async def test_nobody_waits_beyond_the_deadline(home: Home, behaviour: Behaviour) -> None:
    """504, and no second try."""
    async with Server(behaviour) as server:
        route(home, server.url)
        async with backend(home, upstream_tries=5, **CALM) as stand:
            error = await failure(stand, seconds=0.2)
            assert isinstance(error, UpstreamLate)
            assert len(server.requests) == 1


async def test_without_time_no_server_is_asked(home: Home) -> None:
    """What came too late is over at once."""
    async with Server(mails()) as server:
        route(home, server.url)
        async with backend(home, **CALM) as stand:
            assert isinstance(await failure(stand, seconds=0), UpstreamLate)
            assert not server.requests


async def test_resets_end_in_a_defined_error(home: Home) -> None:
    """503 when every try was broken."""
    async with Server(resets()) as server:
        route(home, server.url)
        async with backend(home, upstream_tries=2, **CALM) as stand:
            assert isinstance(await failure(stand), UpstreamDown)
            assert len(server.requests) == 2


async def test_the_server_is_told_who_asks_and_how_long(home: Home) -> None:
    """Request id, trace and time go with each request, and no cookie comes back to it."""

    async def with_cookie(request: Request, writer: asyncio.StreamWriter) -> None:
        body, length = mail_answer(request)
        headers = {"Set-Cookie": "a=b", "Inference-Header-Content-Length": str(length)}
        await send(writer, body, headers=headers)

    async with Server(with_cookie) as server:
        route(home, server.url)
        async with backend(home, **CALM) as stand:
            await stand.backend.predict(asked(name="one"), [MAIL])
            await stand.backend.predict(asked(name="one"), [MAIL])
            sent = server.requests[1].headers
    assert sent["x-request-id"] == "one"
    assert sent["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c")
    assert 0 < int(sent["x-request-timeout-ms"]) <= 60_000
    assert "x-api-key" not in sent
    assert "cookie" not in sent


async def test_an_environment_that_hangs_leaves_the_other_one_alone(home: Home) -> None:
    """Its pool is full and its requests wait, while the other one answers."""
    async with Server(hangs()) as dead, Server(mails()) as alive:
        route(home, dead.url)
        route(home, alive.url, environment=PRODUCTION)
        async with backend(home, upstream_connections=2, **CALM) as stand:
            waiting = [
                asyncio.create_task(stand.backend.predict(asked(seconds=PATIENCE_SECONDS), [MAIL]))
                for _ in range(20)
            ]
            await until(lambda: len(dead.requests) == 2)
            for _ in range(10):
                assert (await stand.backend.predict(asked(PRODUCTION), [MAIL])).version == "1"
            assert not any(task.done() for task in waiting)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert len(dead.requests) == 2


async def test_e_mails_are_refused_by_a_model_of_numbers(home: Home) -> None:
    """400, with the path that takes numbers."""
    async with Server(mails()) as server:
        route(home, server.url, model="iris")
        async with backend(home) as stand:
            with pytest.raises(RequestInvalid, match="takes numbers"):
                await stand.backend.predict(asked(model="iris"), [MAIL])


def test_every_error_of_an_upstream_is_defined() -> None:
    """Statuses as docs/upstreams.md has them."""
    assert {kind.status for kind in UpstreamError.__subclasses__()} == {502, 503, 504}
