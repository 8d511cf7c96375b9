"""The load generator against a small server of this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from serving import load


@asynccontextmanager
async def server(*, drop_every: int = 0) -> AsyncIterator[str]:
    """Yields `host:port` of a server that answers with the body it was sent, in two pieces."""
    seen = 0
    clients: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                seen += 1
                if drop_every and seen % drop_every == 0:
                    break
                status = b"503 Slow Down" if body == b"bad" else b"200 OK"
                writer.write(b"HTTP/1.1 " + status + b"\r\nx-model-version: 7\r\n")
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        host, port = listening.sockets[0].getsockname()
        yield f"{host}:{port}"
    await asyncio.gather(*clients)


async def test_each_request_is_sent_once_and_its_answer_is_its_own() -> None:
    """With several connections too."""
    async with server() as host:
        bodies = [f"message {number}".encode() for number in range(40)]
        requests = [load.post(host, "/echo", body, {"X-Any": "1"}) for body in bodies]
        answers = await load.closed_loop(host, requests, connections=4, keep_bodies=True)
    assert sorted(answer.request for answer in answers) == list(range(40))
    assert all(answer.body == bodies[answer.request] for answer in answers)
    assert {(answer.status, answer.version) for answer in answers} == {(200, "7")}


async def test_the_open_loop_keeps_its_rate_in_number() -> None:
    """Requests of a rate and a time, each answered."""
    async with server() as host:
        answers = await load.open_loop(host, [load.post(host, "/", b"x")], rate=200, seconds=0.25)
    assert [answer.status for answer in answers] == [200] * 50


async def test_errors_and_lost_connections_are_answers() -> None:
    """Nothing that fails is left out of the count, and the body of an error is kept."""
    async with server(drop_every=5) as host:
        requests = [load.post(host, "/", b"good"), load.post(host, "/", b"bad")]
        answers = await load.closed_loop(host, requests, connections=1, count=20)
    statuses = [answer.status for answer in answers]
    assert statuses.count(load.NO_ANSWER) == 4
    assert {answer.body for answer in answers if answer.status == 503} == {b"bad"}
    told = load.summary(answers)
    assert (told.answers, told.failures) == (20, 20 - statuses.count(200))


async def test_a_server_that_is_not_there_is_told_by_status() -> None:
    """The run ends all the same, and there is nothing to sum up."""
    async with server() as host:
        pass
    answers = await load.closed_loop(host, [load.post(host, "/", b"x")], connections=2, count=6)
    assert {answer.status for answer in answers} == {load.NO_ANSWER}
    with pytest.raises(ValueError, match="nothing to sum up"):
        load.summary(answers)
