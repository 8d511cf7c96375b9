"""A hostile or broken endpoint brings words, in bounded time and length, and no way to anywhere else."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator

import pytest

from monitoring.delivery.egress import GuardedNetwork
from monitoring.delivery.exchange import ANSWER_BYTES, Answer, Exchange, Unanswered
from monitoring.delivery.request import json_request
from tests.monitoring.delivery.authority import NAME, Authority
from tests.monitoring.delivery.receiver import OK, Received, Receiver, answer, running, saying
from tests.monitoring.delivery.test_egress import Names

LOOPBACK = ("127.0.0.0/8",)
SHORT = 0.5


async def asked(
    url: str, *, seconds: float = 30, authority: Authority | None = None, names: Names | None = None
) -> Answer:
    """Sends `{}` to `url`."""
    network = GuardedNetwork(LOOPBACK, names) if names else GuardedNetwork(LOOPBACK)
    tls = authority.trusting() if authority else None
    return await Exchange(network, seconds=seconds, tls=tls).answer(json_request(url, {}))


async def refused(url: str, **options: float | Authority | Names | None) -> Unanswered:
    """Returns why there was no answer."""
    with pytest.raises(Unanswered) as why:
        await asked(url, **options)  # type: ignore[arg-type]
    return why.value


async def test_an_answer_is_told(receiver: Receiver) -> None:
    """Status, the wait it asks for, and how its body begins."""
    receiver.behaviour = saying(answer(503, b"too much", Retry_After="7"))
    assert await asked(receiver.url()) == Answer(status=503, retry_after="7", text="too much")
    (request,) = receiver.received
    assert (request.method, request.target, request.body) == ("POST", "/hook/the-secret-of-the-path", b"{}")
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-length"] == "2"
    assert request.headers["user-agent"].startswith("sluice/")


async def test_the_host_is_the_name_and_not_the_address(receiver: Receiver) -> None:
    """Although the connection goes to an address."""
    await asked(f"http://{NAME}:{receiver.port}/", names=Names(["127.0.0.1"]))
    await asked(f"http://[2606:4700::1111]:{receiver.port}/", names=Names(["127.0.0.1"]))
    hosts = [request.headers["host"] for request in receiver.received]
    assert hosts == [f"{NAME}:{receiver.port}", f"[2606:4700::1111]:{receiver.port}"]


async def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver) -> None:
    """Least of all to another host of the inside."""
    async with running() as inside:
        for status in (301, 302, 303, 307, 308):
            receiver.behaviour = saying(answer(status, Location=inside.url()))
            assert (await asked(receiver.url())).status == status
        assert inside.connections == 0


async def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve the name anew, and go where it likes."""
    async with running() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
            monkeypatch.setenv(name.lower(), proxy.url(""))
        assert (await asked(receiver.url())).status == 200
        assert proxy.connections == 0


async def hanging(_request: Received, _writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def resetting(_request: Received, writer: asyncio.StreamWriter) -> None:
    """Breaks the connection."""
    writer.transport.abort()


async def trickling(_request: Received, writer: asyncio.StreamWriter) -> None:
    """Sends a head that never ends, one byte at a time: no read is slow, and the whole is."""
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def informing(_request: Received, writer: asyncio.StreamWriter) -> None:
    """Sends interim answers for ever."""
    while True:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("behaviour", [hanging, trickling, informing])
async def test_time_is_bounded(receiver: Receiver, behaviour: object) -> None:
    """Whatever keeps the connection busy."""
    receiver.behaviour = behaviour  # type: ignore[assignment]
    error = await refused(receiver.url(), seconds=SHORT)
    assert error.message == "no answer within 0.5 s"
    assert not error.lasting


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 10_000_000, "too long a head"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000 + b"\r\n", "too long a head"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is not HTTP"),
        (b"\x00" * 1000 + b"\r\n\r\n", "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "cut off"),
        (b"", "cut off"),
    ],
)
async def test_what_is_no_answer_is_told_as_such(receiver: Receiver, said: bytes, words: str) -> None:
    """Too long, another protocol, or cut off; it may be better next time."""
    receiver.behaviour = saying(said)
    error = await refused(receiver.url())
    assert words in error.message or error.message == "the connection broke"
    assert not error.lasting


async def test_a_reset_is_told(receiver: Receiver) -> None:
    """And so is a port where nothing listens."""
    receiver.behaviour = resetting
    assert (await refused(receiver.url())).message in (
        "the connection broke",
        "its answer is not HTTP, is cut off, or has too long a head",
    )
    async with running() as gone:
        pass
    assert (await refused(gone.url())).message == "nothing answers there"


async def test_an_endless_answer_is_read_to_its_bound(receiver: Receiver) -> None:
    """And no further: what the server could send is what the buffers between the two hold."""
    sent = 0

    async def endless(_request: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            sent += 0x10000
            await writer.drain()

    receiver.behaviour = endless
    assert await asked(receiver.url()) == Answer(status=500, text="x" * ANSWER_BYTES)
    assert sent < 12_000_000


async def unfinished(_request: Received, writer: asyncio.StreamWriter) -> None:
    """Answers 204's like with a body that never comes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
    await writer.drain()
    await asyncio.Event().wait()


async def broken(_request: Received, writer: asyncio.StreamWriter) -> None:
    """Answers with a body that is cut off."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("behaviour", [unfinished, broken])
async def test_a_status_counts_whatever_becomes_of_the_body(receiver: Receiver, behaviour: object) -> None:
    """A message that was taken is not sent again because of a body that nobody needs."""
    receiver.behaviour = behaviour  # type: ignore[assignment]
    assert (await asked(receiver.url())).status == 200


async def test_nothing_is_unpacked(receiver: Receiver) -> None:
    """A small answer stays small."""
    packed = gzip.compress(b"x" * 10_000_000)
    receiver.behaviour = saying(answer(500, packed, Content_Encoding="gzip"))
    assert len((await asked(receiver.url())).text) <= len(packed)
    assert receiver.received[0].headers["accept-encoding"] == "identity"


async def test_where_messages_may_not_go_is_lasting() -> None:
    """No time mends it, and the words name the setting."""
    error = await refused("http://10.1.2.3/")
    assert "MONITORING_EGRESS_ALLOWED" in error.message
    assert error.lasting


async def test_a_name_that_is_not_known_may_be_known_later() -> None:
    """`invalid` never is (RFC 6761)."""
    error = await refused("http://no-such-host.invalid/")
    assert (error.message, error.lasting) == ("its name is not known", False)
    assert (await refused(f"http://{'a' * 70}.example/")).message == "its name is no name of a host"


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[Receiver]:
    """A server that the authority vouches for."""
    async with running(saying(OK), tls=authority.server()) as found:
        yield found


def at(server: Receiver, scheme: str = "https") -> str:
    """Returns the address of a server by name."""
    return f"{scheme}://{NAME}:{server.port}/"


async def test_a_certificate_is_verified_for_the_name(secure: Receiver, authority: Authority) -> None:
    """By an authority that is trusted, for the name of the url and not for the address behind it."""
    found = await asked(at(secure), authority=authority, names=Names(["127.0.0.1"]))
    assert found.status == 200
    other = f"https://other.test:{secure.port}/"
    error = await refused(other, authority=authority, names=Names(["127.0.0.1"]))
    assert error.message.startswith("its certificate is not valid: Hostname mismatch")
    assert len(secure.received) == 1


async def test_an_authority_that_nobody_knows_is_refused(secure: Receiver) -> None:
    """There is no way to switch that off."""
    error = await refused(at(secure), names=Names(["127.0.0.1"]))
    assert error.message.startswith("its certificate is not valid: ")
    assert not error.lasting
    assert secure.received == []


async def test_authorities_of_ones_own_are_named_in_the_usual_variable(
    secure: Receiver, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SSL_CERT_FILE`, as for every program that uses OpenSSL."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    assert (await asked(at(secure), names=Names(["127.0.0.1"]))).status == 200


async def test_an_old_certificate_is_refused(authority: Authority) -> None:
    """It may be renewed, so the message waits."""
    async with running(tls=authority.server(expired=True)) as old:
        error = await refused(at(old), authority=authority, names=Names(["127.0.0.1"]))
    assert error.message == "its certificate is not valid: certificate has expired"


async def test_a_server_without_tls_is_told(receiver: Receiver) -> None:
    """Nothing is sent to it in the clear."""
    receiver.behaviour = hanging
    error = await refused(at(receiver), seconds=SHORT, names=Names(["127.0.0.1"]))
    assert error.message in ("TLS could not be agreed on", "no answer within 0.5 s")
    assert receiver.received == []


async def test_no_log_holds_the_address_or_the_body(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even at the level at which libraries tell everything."""
    caplog.set_level(logging.DEBUG)
    await asked(receiver.url())
    assert "the-secret-of-the-path" not in caplog.text
    assert receiver.received[0].target not in caplog.text
