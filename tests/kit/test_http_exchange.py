"""The lean client asks real servers over kept connections, and tells every way in which an answer fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from kit.http_exchange import Exchange, NotHttp

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Model-Version: 3\r\n\r\nok"
SECONDS = 60


@asynccontextmanager
async def serving(handler: Handler, *, port: int = 0) -> AsyncIterator[Exchange]:
    """Yields a client of a server that treats each connection by `handler`."""

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handled, "127.0.0.1", port)
    address, number = server.sockets[0].getsockname()
    exchange = Exchange(f"{address}:{number}", max_answer_bytes=1 << 20)
    try:
        yield exchange
    finally:
        exchange.close()
        server.close()
        await server.wait_closed()


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """Returns one request, whole; empty at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head + await reader.readexactly(length)


def answering(*answers: bytes) -> tuple[Handler, list[int]]:
    """Returns what answers each request of a connection in turn and then closes it, and what it has seen."""
    seen: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(0)
        for answer in answers:
            if not await request_of(reader):
                return
            seen[-1] += 1
            writer.write(answer)
            await writer.drain()

    return handler, seen


async def test_a_connection_is_kept_and_its_answers_are_whole() -> None:
    """Status, headers in lower case, body; chunks are put together; an error is an answer."""
    chunked = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    handler, seen = answering(OK, chunked, OK)
    async with serving(handler) as exchange:
        answer = await exchange.asked("POST", "/a", {"X-Name": "value"}, b"body")
        assert (answer.status, answer.headers[b"x-model-version"], answer.body) == (200, b"3", b"ok")
        answer = await exchange.asked("GET", "/b")
        assert (answer.status, answer.body) == (404, b"abc")
        assert (await exchange.asked("GET", "/c")).body == b"ok"
        assert seen == [3]


async def test_questions_at_the_same_time_have_a_connection_each_and_their_own_answers() -> None:
    """Nothing is mixed up."""

    async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await request_of(reader):
            body = request.partition(b"\r\n\r\n")[2]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with serving(echoing) as exchange:
        bodies = [b"%d" % at * at for at in range(200)]
        answers = await asyncio.gather(*(exchange.asked("POST", "/", None, body) for body in bodies))
        assert [answer.body for answer in answers] == bodies


async def test_a_kept_connection_that_the_server_closed_is_made_anew() -> None:
    """Whether that was said, or seen only when the next question was on its way."""
    closing = OK.replace(b"Content-Length", b"Connection: close\r\nContent-Length")
    for answer in (OK, closing):
        handler, seen = answering(answer)
        async with serving(handler) as exchange:
            for _ in range(3):
                assert (await exchange.asked("GET", "/")).status == 200
            assert seen == [1, 1, 1]


async def test_an_answer_that_breaks_off_is_an_error_and_not_asked_again() -> None:
    """Over a new connection, and over a kept one."""
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    handler, seen = answering(OK, broken)
    async with serving(handler) as exchange:
        await exchange.asked("GET", "/")
        with pytest.raises(ConnectionError):
            await exchange.asked("GET", "/")
        assert seen == [2]
    handler, seen = answering(broken)
    async with serving(handler) as exchange:
        with pytest.raises(ConnectionError):
            await exchange.asked("GET", "/")
        assert seen == [1]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 4_000_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 4_000_000,
    ],
    ids=["another protocol", "no length", "too long", "a head without end"],
)
async def test_what_is_no_answer_is_told_as_that(answer: bytes) -> None:
    """And ends its connection."""
    handler, seen = answering(answer, OK)
    async with serving(handler) as exchange:
        for _ in range(2):
            with pytest.raises(NotHttp):
                await exchange.asked("GET", "/")
    assert len(seen) == 2


async def test_whoever_is_cancelled_leaves_no_answer_behind_for_the_next() -> None:
    """A late answer belongs to nobody."""
    late = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await request_of(reader)
        if b"/late" in request:
            await late.wait()
        writer.write(OK.replace(b"ok", b"l8" if b"/late" in request else b"ok"))

    async with serving(handler) as exchange:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await exchange.asked("GET", "/late")
        late.set()
        assert (await exchange.asked("GET", "/")).body == b"ok"


async def test_nobody_there_and_a_closed_client_are_errors_of_the_system() -> None:
    """The caller translates one family."""
    handler, _ = answering(OK)
    async with serving(handler) as exchange:
        pass
    with pytest.raises(OSError, match="closed"):
        await exchange.asked("GET", "/")
    with pytest.raises(ConnectionRefusedError):
        await Exchange(exchange.address).asked("GET", "/")
