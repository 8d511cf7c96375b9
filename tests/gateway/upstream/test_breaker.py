"""A server that fails in a row is left alone, one request tries it, and callers' faults do not count."""

import asyncio

import pytest

from gateway.errors import RequestInvalid, UpstreamDown, UpstreamFailed, UpstreamLate, ValidationFailed
from kit.home import Home
from tests.gateway.upstream.servers import Request, Server, hangs, mails, says
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

LONG, SHORT = {"breaker_seconds": 600}, {"breaker_seconds": 0.05}
BROKEN = says(b"", status=500)


def state(stand: Stand) -> float | None:
    """Returns what the gauge says."""
    return stand.value("sluice_gateway_breaker_open", environment=STAGING, model=MAILS)


async def fail(stand: Stand, times: int) -> None:
    """Has requests fail."""
    for _ in range(times):
        with pytest.raises(UpstreamFailed):
            await stand.backend.predict(asked(), [MAIL])


async def test_after_failures_in_a_row_nobody_is_let_through(home: Home) -> None:
    """One before it is, and then the server is not asked any more; the other environment is."""
    async with Server(BROKEN) as server, Server(mails()) as other:
        route(home, server.url)
        route(home, other.url, environment=PRODUCTION)
        async with backend(home, breaker_failures=3, **LONG) as stand:
            await fail(stand, 2)
            assert state(stand) == 0
            await fail(stand, 1)
            assert state(stand) == 1
            with pytest.raises(UpstreamDown) as refused:
                await stand.backend.predict(asked(), [MAIL])
            assert 1 <= refused.value.retry_after_seconds <= 600
            assert "staging" in refused.value.message
            assert len(server.requests) == 3
            assert (await stand.backend.predict(asked(PRODUCTION), [MAIL])).version == "1"


async def test_an_answer_between_failures_begins_the_count_anew(home: Home) -> None:
    """Only failures in a row are told."""
    async with Server(BROKEN) as server:
        route(home, server.url)
        async with backend(home, breaker_failures=3, **LONG) as stand:
            for _ in range(3):
                server.behaviour = BROKEN
                await fail(stand, 2)
                server.behaviour = mails()
                await stand.backend.predict(asked(), [MAIL])
            assert state(stand) == 0


async def test_one_request_alone_tries_whether_the_server_is_back(home: Home) -> None:
    """All others are refused meanwhile; its success opens the way, its failure closes it again."""
    async with Server(BROKEN) as server:
        route(home, server.url)
        async with backend(home, breaker_failures=1, **SHORT) as stand:
            await fail(stand, 1)
            released = asyncio.Event()
            answer = mails()

            async def waits(request: Request, writer: asyncio.StreamWriter) -> None:
                await released.wait()
                await answer(request, writer)

            server.behaviour = waits
            await until(lambda: state(stand) == 0.5)
            trial = asyncio.create_task(stand.backend.predict(asked(), [MAIL]))
            await until(lambda: len(server.requests) == 2)
            for _ in range(5):
                with pytest.raises(UpstreamDown):
                    await stand.backend.predict(asked(), [MAIL])
            released.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await trial
            assert state(stand) == 0
            assert len(server.requests) == 2
            server.behaviour = BROKEN
            await fail(stand, 1)
            await until(lambda: state(stand) == 0.5)
            await fail(stand, 1)
            assert state(stand) in {0.5, 1}


async def test_a_trial_whose_caller_leaves_says_nothing(home: Home) -> None:
    """The next one tries."""
    async with Server(BROKEN) as server:
        route(home, server.url)
        async with backend(home, breaker_failures=1, **SHORT) as stand:
            await fail(stand, 1)
            server.behaviour = hangs()
            await until(lambda: state(stand) == 0.5)
            trial = asyncio.create_task(stand.backend.predict(asked(), [MAIL]))
            await until(lambda: len(server.requests) == 2)
            trial.cancel()
            await asyncio.gather(trial, return_exceptions=True)
            server.behaviour = mails()
            await stand.backend.predict(asked(), [MAIL])
            assert state(stand) == 0


async def test_a_caller_s_own_faults_do_not_open_it(home: Home) -> None:
    """Wrong requests, refused before or by the server, and times chosen too short."""
    refuses = says({"code": "email_refused", "detail": "No."}, status=422)
    async with Server(refuses) as server:
        route(home, server.url)
        async with backend(home, breaker_failures=1, timeout_seconds=60, **LONG) as stand:
            for _ in range(3):
                with pytest.raises(ValidationFailed):
                    await stand.backend.predict(asked(), [MAIL])
                with pytest.raises(RequestInvalid):
                    await stand.backend.passed(asked(), "POST", ["models", MAILS, "infer"], {}, b"{")
            server.behaviour = hangs()
            for _ in range(3):
                with pytest.raises(UpstreamLate):
                    await stand.backend.predict(asked(seconds=0.05), [MAIL])
            assert state(stand) == 0


async def test_a_server_that_hangs_opens_it(home: Home) -> None:
    """Whoever waited as long as the settings allow has a say."""
    async with Server(hangs()) as server:
        route(home, server.url)
        async with backend(home, breaker_failures=2, timeout_seconds=0.1, **LONG) as stand:
            for _ in range(2):
                with pytest.raises(UpstreamLate):
                    await stand.backend.predict(asked(seconds=0.2), [MAIL])
            assert state(stand) == 1
