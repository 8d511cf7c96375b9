"""A mirrored share of requests: both verdicts are remembered, and the caller notices nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contracts.environments import Environment
from gateway.backends.backend import Email
from gateway.measures import Measures
from gateway.memory.answered import Answered
from gateway.settings import GatewaySettings
from gateway.shadow import Shadow
from kit.home import Home
from tests.gateway.upstream.servers import Behaviour, Server, hangs, mails, says
from tests.gateway.upstream.stand import MAIL, PRODUCTION, STAGING, Stand, asked, backend, route, until


class Recorded(list[Answered]):
    """Takes answers (`gateway.memory.answered.Recorder`)."""

    def record(self, answered: Answered) -> None:
        """Takes one."""
        self.append(answered)


class Scene(Stand):
    """Two environments, and a shadow from staging to production."""

    def __init__(self, stand: Stand, shadow: Shadow, recorded: Recorded, other: Server) -> None:
        super().__init__(stand.backend, stand.measures)
        self.shadow, self.recorded, self.other = shadow, recorded, other

    def outcomes(self, outcome: str) -> float:
        """Returns how many copies ended so."""
        labels = {"environment": "production", "outcome": outcome}
        return self.measures.registry.get_sample_value("sluice_gateway_shadows_total", labels) or 0.0

    async def answered(
        self, *emails: Email, name: str = "a", environment: Environment = STAGING, **how: Any
    ) -> None:
        """Answers e-mails and mirrors them, as the routes do."""
        request = asked(environment, name=name)
        found = await self.backend.predict(request, emails)
        self.shadow.mirror(request, emails, found, **how)

    async def settled(self) -> None:
        """Waits until no copy is under way: a request makes its copies before it returns."""
        await until(lambda: not self.shadow._tasks)


@asynccontextmanager
async def scene(home: Home, other: Behaviour, **settings: Any) -> AsyncIterator[Scene]:
    """Yields staging, which answers ham by version 1, and production, which does as `other` says."""
    how: dict[str, Any] = {"shadow_environment": STAGING, "shadow_share": 1.0} | settings
    async with Server(mails()) as first, Server(other, version="2") as second:
        route(home, first.url)
        route(home, second.url, environment=PRODUCTION, version="2")
        async with backend(home) as stand:
            recorded, measures = Recorded(), Measures()
            stand.measures = measures
            shadow = Shadow(GatewaySettings(**how), stand.backend, recorded, measures)
            try:
                yield Scene(stand, shadow, recorded, second)
            finally:
                await shadow.close()


async def test_a_copy_that_agrees_is_remembered_and_counted(home: Home) -> None:
    """Under an id of its own, with the id that the caller was answered under."""
    async with scene(home, mails(version="2")) as stage:
        await stage.answered(MAIL, name="r")
        await until(lambda: stage.outcomes("agreed") == 1)
        (row,) = stage.recorded
    assert (row.request_id, row.shadow_of) == ("r~shadow", "r")
    assert (row.environment, row.version, row.label) == (PRODUCTION, "2", "ham")
    assert row.message_sha256 is not None
    assert len(row.numeric) == 24


async def test_a_copy_that_disagrees_is_counted_as_such(home: Home) -> None:
    """One e-mail of a batch is enough; rows have the ids of their e-mails."""
    async with scene(home, mails(version="2", verdict="spam", probability=0.9)) as stage:
        await stage.answered(MAIL, MAIL, name="r")
        await stage.answered(MAIL, name="s", ids=["s.7"])
        await until(lambda: stage.outcomes("disagreed") == 2)
        rows = {(row.request_id, row.shadow_of, row.label) for row in stage.recorded}
    assert rows == {
        ("r.0~shadow", "r.0", "spam"),
        ("r.1~shadow", "r.1", "spam"),
        ("s.7~shadow", "s.7", "spam"),
    }


@pytest.mark.parametrize("other", [says(b"", status=500), says(b"lies")], ids=["error", "lies"])
async def test_a_copy_that_fails_is_counted_and_nobody_hears_of_it(home: Home, other: Behaviour) -> None:
    """The caller was answered before."""
    async with scene(home, other) as stage:
        await stage.answered(MAIL)
        await until(lambda: stage.outcomes("failed") == 1)
        assert not stage.recorded


async def test_copies_have_a_deadline_of_their_own(home: Home) -> None:
    """However long the caller would have waited."""
    async with scene(home, hangs(), timeout_seconds=0.1) as stage:
        await stage.answered(MAIL)
        await until(lambda: stage.outcomes("failed") == 1)


async def test_when_as_many_as_may_be_are_under_way_further_ones_are_skipped(home: Home) -> None:
    """And the caller goes on at once, as ever."""
    async with scene(home, hangs(), shadow_at_once=2, timeout_seconds=60) as stage:
        for _ in range(5):
            await stage.answered(MAIL)
        assert stage.outcomes("skipped") == 3
        await until(lambda: len(stage.other.requests) == 2)
        await stage.shadow.close()
        assert stage.outcomes("agreed") == stage.outcomes("failed") == 0


async def test_a_share_is_mirrored(home: Home) -> None:
    """Chosen by the request id: some are and some are not, and the same ones each time."""
    async with scene(home, mails(version="2"), shadow_share=0.5, shadow_at_once=1000) as stage:
        await asyncio.gather(*[stage.answered(MAIL, name=f"request-{at}") for at in range(100)])
        await stage.settled()
        first = {row.request_id for row in stage.recorded}
        assert 20 < len(first) < 80
        await asyncio.gather(*[stage.answered(MAIL, name=f"request-{at}") for at in range(100)])
        await stage.settled()
        assert len(stage.recorded) == stage.outcomes("agreed") == 2 * len(first)
        assert {row.request_id for row in stage.recorded} == first


@pytest.mark.parametrize("settings", [{"shadow_environment": None}, {"shadow_share": 0.0}])
async def test_without_a_shadow_nothing_is_mirrored(home: Home, settings: dict[str, Any]) -> None:
    """Neither without an environment in the settings, nor with a share of nothing."""
    async with scene(home, mails(version="2"), **settings) as stage:
        await stage.answered(MAIL)
        await stage.settled()
        assert not stage.other.requests


async def test_the_other_environment_is_not_mirrored_back(home: Home) -> None:
    """Only requests of the environment in the settings are."""
    async with scene(home, mails(version="2")) as stage:
        await stage.answered(MAIL, environment=PRODUCTION)
        await stage.settled()
        assert len(stage.other.requests) == 1
        assert not stage.recorded
