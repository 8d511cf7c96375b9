"""Batches in parts, versions that change under them, and environments side by side."""

import asyncio

import pytest

from contracts.environments import Environment
from gateway.backends.backend import Email
from gateway.errors import UpstreamFailed
from gateway.upstream.emails import MAX_BYTES, MAX_EMAILS
from kit.home import Home
from tests.gateway.upstream.servers import Request, Server, mail_answer, mails, send
from tests.gateway.upstream.stand import (
    MAIL,
    MAILS,
    PRODUCTION,
    STAGING,
    asked,
    backend,
    route,
    upstreams,
)


def of_both_kinds(count: int) -> list[Email]:
    """Returns e-mails of which every third is structured."""
    return [Email(b"mail %d" % at, structured=at % 3 == 0) for at in range(count)]


async def test_a_batch_comes_back_in_its_order(home: Home) -> None:
    """Kinds go apart, and no request is larger than a transformer takes."""
    async with Server(mails()) as server:
        route(home, server.url)
        async with backend(home) as stand:
            batch = of_both_kinds(600)
            found = await stand.backend.predict(asked(), batch)
    assert [item.facts.sender.encode() for item in found.items] == [email.data for email in batch]
    kinds = []
    for request in server.requests:
        tensor = request.document()["inputs"][0]
        assert 1 <= tensor["shape"][0] <= MAX_EMAILS
        kinds.append((tensor["parameters"]["content_type"], tensor["shape"][0]))
    assert sorted(kinds) == [
        ("application/json", 72),
        ("application/json", 128),
        *[("message/rfc822", 16)],
        *[("message/rfc822", 128)] * 3,
    ]


async def test_large_e_mails_go_apart(home: Home) -> None:
    """A part is no larger than a transformer's body may be; one e-mail alone may be."""
    async with Server(mails()) as server:
        route(home, server.url)
        async with backend(home) as stand:
            large = [Email(b"x" * (MAX_BYTES - 10), structured=False), *[MAIL] * 2]
            found = await stand.backend.predict(asked(), [*large, *large])
    assert len(found.items) == 6
    assert len(server.requests) >= 2
    assert all(len(request.body) < MAX_BYTES + 10_000 for request in server.requests)


async def test_an_explanation_is_there_if_it_was_asked_for(home: Home) -> None:
    """And not otherwise."""
    async with Server(mails()) as server:
        route(home, server.url)
        async with backend(home) as stand:
            with_it = await stand.backend.predict(asked(), [MAIL], explain=True)
            without = await stand.backend.predict(asked(), [MAIL])
    assert (with_it.items[0].explanation, without.items[0].explanation) == ({"unit": "log_odds"}, None)


async def test_one_version_answers_a_whole_batch_whatever_happens_meanwhile(home: Home) -> None:
    """The parts that the former version had answered are asked again."""
    async with Server(mails()) as server:
        route(home, server.url)

        async def moves_after_the_first(request: Request, writer: asyncio.StreamWriter) -> None:
            if len(server.requests) > 1:
                route(home, server.url, version="2")
            version = "1" if len(server.requests) == 1 else "2"
            body, length = mail_answer(request, version=version)
            await send(writer, body, headers={"Inference-Header-Content-Length": str(length)})

        server.behaviour = moves_after_the_first
        async with backend(home) as stand:
            batch = of_both_kinds(500)
            found = await stand.backend.predict(asked(), batch)
            assert found.version == "2"
            assert [item.facts.sender.encode() for item in found.items] == [email.data for email in batch]


async def test_versions_that_never_agree_are_an_error(home: Home) -> None:
    """Nobody gets a batch of two versions."""
    numbers = iter(range(1, 1000))

    async def another_each_time(request: Request, writer: asyncio.StreamWriter) -> None:
        body, length = mail_answer(request, version=str(next(numbers)))
        await send(writer, body, headers={"Inference-Header-Content-Length": str(length)})

    async with (
        Server(another_each_time) as server,
        backend(home, **upstreams({STAGING: {MAILS: server.url}})) as stand,
    ):
        with pytest.raises(UpstreamFailed, match="several versions"):
            await stand.backend.predict(asked(), of_both_kinds(3))
        assert len(server.requests) < 20


async def test_a_transformer_may_be_a_moment_behind_its_route(home: Home) -> None:
    """A gateway that starts in the middle of a move believes what the transformer itself says."""
    async with Server(mails(version="1"), version="1") as server:
        route(home, server.url, version="2")
        async with backend(home) as stand:
            assert (await stand.backend.predict(asked(), [MAIL])).version == "1"
            server.behaviour, server.version = mails(version="2"), "2"
            assert (await stand.backend.predict(asked(), [MAIL])).version == "2"


async def test_no_answer_comes_from_the_other_environment(home: Home) -> None:
    """Hundreds of requests to both at once: each answer names who gave it, and its own e-mails."""
    async with (
        Server(mails(told_by="staging")) as one,
        Server(mails(told_by="production", version="2")) as two,
    ):
        route(home, one.url)
        route(home, two.url, environment=PRODUCTION, version="2")
        async with backend(home) as stand:

            async def one_request(number: int) -> None:
                environment = (STAGING, PRODUCTION)[number % 2]
                batch = [Email(b"%d.%d" % (number, at), structured=False) for at in range(1 + number % 3)]
                found = await stand.backend.predict(asked(environment), batch)
                assert found.version == {STAGING: "1", PRODUCTION: "2"}[environment]
                for email, item in zip(batch, found.items, strict=True):
                    assert Environment(item.facts.sender_domain) is environment
                    assert item.facts.sender.encode() == email.data

            await asyncio.gather(*[one_request(number) for number in range(400)])


async def test_a_cluster_tells_the_version_that_it_was_answered_by(home: Home) -> None:
    """There is no route that would say it."""
    async with (
        Server(mails(version="7"), version="7") as server,
        backend(home, **upstreams({STAGING: {MAILS: server.url}})) as stand,
    ):
        assert (await stand.backend.predict(asked(), [MAIL])).version == "7"
        assert [one.version for one in stand.backend.served(STAGING)] == ["7"]
        assert stand.backend.readiness(STAGING).ready
