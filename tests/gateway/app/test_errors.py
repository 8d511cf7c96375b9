"""Every leaf of the tree of errors is reached through the whole gateway, and answered as a problem."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts import gateway as paths
from gateway import errors
from gateway.access_log import AccessLog
from gateway.app import Gateway
from kit.errors import CallerError, OperationalError, SluiceError
from tests.gateway.app.servers import answering
from tests.gateway.app.stand import SPAM, Stand, client_of, problem_of, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
ABSTRACT = {errors.UpstreamError}
Reaching = Callable[[Stand], Awaitable[httpx.Response]]
OpenedBy = Callable[[Path, dict[str, Any]], Any]


def leaves() -> set[type[SluiceError]]:
    """Returns every error that the gateway defines, but those that only others derive from."""
    return {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, (CallerError, OperationalError))
        and value.__module__ == errors.__name__ and value not in ABSTRACT
    }  # fmt: skip


async def broken_json(stand: Stand) -> httpx.Response:
    """RequestInvalid."""
    return await stand.client.post(paths.PREDICT, content=b"{", headers=JSON)


async def other_environment(stand: Stand) -> httpx.Response:
    """EnvironmentUnknown."""
    return await stand.predict(X_Environment="prod")


async def no_key(stand: Stand) -> httpx.Response:
    """KeyMissing."""
    async with client_of(stand.gateway, {}) as client:
        return await client.post(paths.PREDICT, json={"raw": SPAM})


async def wrong_keys(stand: Stand) -> httpx.Response:
    """AttemptsExceeded: from an address of its own."""
    async with client_of(stand.gateway, {"X-API-Key": "wrong"}, address="192.0.2.9") as client:
        for _ in range(stand.gateway.parts.settings.attempts_per_minute):
            assert (await client.get(paths.MODELS)).status_code == 401
        return await client.get(paths.MODELS)


async def admin_page(stand: Stand) -> httpx.Response:
    """ScopeMissing: the key is no admin's."""
    async with client_of(stand.gateway, stand.client.headers, address="192.0.2.10") as client:
        return await client.get("/metrics")


async def other_path(stand: Stand) -> httpx.Response:
    """PathUnknown."""
    return await stand.client.get("/v3")


async def other_model(stand: Stand) -> httpx.Response:
    """ModelUnknown."""
    return await stand.client.get("/v2/models/weather")


async def other_prediction(stand: Stand) -> httpx.Response:
    """PredictionUnknown."""
    return await stand.client.get(f"{paths.PREDICTIONS}/nobody")


async def other_method(stand: Stand) -> httpx.Response:
    """MethodRefused."""
    return await stand.client.delete(paths.PREDICT)


async def slow_body(stand: Stand) -> httpx.Response:
    """BodyLate: half of it, and then nothing."""

    async def half() -> AsyncIterator[bytes]:
        yield b'{"raw":'
        await asyncio.Event().wait()

    return await stand.client.post(
        paths.PREDICT, content=half(), headers=JSON | {"X-Request-Timeout-Ms": "50"}
    )


async def large_body(stand: Stand) -> httpx.Response:
    """BodyTooLarge."""
    size = stand.gateway.parts.settings.max_body_bytes
    return await stand.client.post(paths.PREDICT, content=b"x" * (size + 1), headers=JSON)


async def text_body(stand: Stand) -> httpx.Response:
    """ContentTypeRefused."""
    return await stand.client.post(paths.PREDICT, content=b"hi", headers={"Content-Type": "text/plain"})


async def wrong_fields(stand: Stand) -> httpx.Response:
    """ValidationFailed."""
    return await stand.client.post(paths.PREDICT, json={"raw": 7})


async def asked(stand: Stand) -> httpx.Response:
    """Whatever the stand is there for."""
    return await stand.predict()


async def many(stand: Stand) -> httpx.Response:
    """RateExceeded: one more than the key may send."""
    assert (await stand.predict()).status_code == 200
    return await stand.predict()


async def at_once(stand: Stand) -> httpx.Response:
    """Overloaded: one is worked on, and none may wait."""
    begun, done = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.set()
        yield b'{"raw":'
        await done.wait()
        yield b'"hello"}'

    first = asyncio.create_task(
        stand.client.post(paths.PREDICT, content=slow(), headers=JSON | {"X-Request-Timeout-Ms": "60000"})
    )
    await begun.wait()
    second = await stand.predict()
    done.set()
    assert (await first).status_code == 200
    return second


async def records_of_no_schema(stand: Stand) -> httpx.Response:
    """RecordsDown: the tables are not there."""
    return await stand.client.get(f"{paths.PREDICTIONS}/anything")


async def ready(stand: Stand) -> httpx.Response:
    """NotReady: no environment has a bundle."""
    return await stand.client.get(paths.READY)


async def ready_while_stopping(stand: Stand) -> httpx.Response:
    """ShuttingDown."""
    stand.gateway.stopping.told = True
    return await stand.client.get(paths.READY)


def embedded(**values: Any) -> OpenedBy:
    """Returns what opens a gateway that answers by itself, with these settings."""
    return lambda root, settings: standing(root, **settings, **values)


@asynccontextmanager
async def without_models(root: Path, _settings: dict[str, Any]) -> AsyncIterator[Stand]:
    """A gateway to which nothing was promoted."""
    async with standing(root, backend="embedded") as opened:
        yield opened


@asynccontextmanager
async def without_tables(root: Path, settings: dict[str, Any]) -> AsyncIterator[Stand]:
    """A gateway whose database was never migrated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECORDS_URL", f"sqlite+aiosqlite:///{root / 'empty.db'}")
        async with standing(root, **settings, record=False) as opened:
            yield opened


def before(status: int | None) -> OpenedBy:
    """Returns what opens a gateway before a model server that answers with `status`, or never (None)."""

    @asynccontextmanager
    async def opened(root: Path, _settings: dict[str, Any]) -> AsyncIterator[Stand]:
        async with answering(status) as url:
            upstreams = {"staging": {"spam-detector": url}}
            async with standing(
                root, upstreams=upstreams, environments=("staging",), timeout_seconds=0.3, record=False
            ) as stand:
                yield stand

    return opened


@asynccontextmanager
async def before_nobody(root: Path, _settings: dict[str, Any]) -> AsyncIterator[Stand]:
    """A gateway before a port where nobody listens any more."""
    async with answering(200) as url:
        pass
    upstreams = {"staging": {"spam-detector": url}}
    async with standing(root, upstreams=upstreams, environments=("staging",), record=False) as stand:
        yield stand


REACHED: dict[type[SluiceError], tuple[Reaching, OpenedBy | None]] = {
    errors.RequestInvalid: (broken_json, None),
    errors.EnvironmentUnknown: (other_environment, None),
    errors.KeyMissing: (no_key, None),
    errors.ScopeMissing: (admin_page, None),
    errors.PathUnknown: (other_path, None),
    errors.ModelUnknown: (other_model, None),
    errors.PredictionUnknown: (other_prediction, None),
    errors.MethodRefused: (other_method, None),
    errors.BodyLate: (slow_body, None),
    errors.BodyTooLarge: (large_body, None),
    errors.ContentTypeRefused: (text_body, None),
    errors.ValidationFailed: (wrong_fields, None),
    errors.AttemptsExceeded: (wrong_keys, None),
    errors.HttpsRequired: (asked, embedded(https_only=True)),
    errors.RateExceeded: (many, embedded(rate_limit="1/hour")),
    errors.Overloaded: (
        at_once,
        embedded(requests_at_once=1, requests_at_once_per_key=1, requests_waiting=0),
    ),
    errors.RecordsDown: (records_of_no_schema, without_tables),
    errors.NotReady: (ready, without_models),
    errors.ShuttingDown: (ready_while_stopping, embedded()),
    errors.UpstreamDown: (asked, before_nobody),
    errors.UpstreamNotReady: (asked, without_models),
    errors.UpstreamFailed: (asked, before(500)),
    errors.UpstreamLate: (asked, before(None)),
}
"""How each one is reached, and before which gateway; None for the one that all tests share."""


async def test_the_table_names_every_leaf_of_the_tree() -> None:
    """And the drawing in the docstring does too, with its status."""
    assert REACHED.keys() == leaves()
    drawn = (errors.__doc__ or "").splitlines()
    for leaf in leaves():
        line = next(line for line in drawn if f" {leaf.__name__} " in line)
        assert f" {leaf.status} " in line


@pytest.mark.parametrize("leaf", sorted(leaves(), key=str))
async def test_it_is_reached_and_answered_as_a_problem(
    leaf: type[SluiceError], stand: Stand, root: Path, embedded: dict[str, Any]
) -> None:
    """With its own status and code; what may be tried again says when."""
    reaching, opened = REACHED[leaf]
    if opened is None:
        answer = await reaching(stand)
    else:
        async with opened(root, embedded) as own:
            answer = await reaching(own)
    told = problem_of(answer)
    assert (told["status"], told["code"], told["title"]) == (leaf.status, leaf.code, leaf.title)
    assert told["detail"] not in {"", leaf.title}
    if leaf.status in {429, 502, 503, 504}:
        assert int(answer.headers["retry-after"]) >= 1
    if leaf.status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    if leaf.status == 405:
        assert answer.headers["allow"] == "POST"
    if leaf.status == 426:
        assert answer.headers["upgrade"]


async def test_a_bug_is_500_without_a_word_of_it(stand: Stand) -> None:
    """Its stack is in the log, and its text nowhere else."""

    class Broken:
        def __init__(self, whole: Any) -> None:
            self._whole = whole

        async def predict(self, *_arguments: Any, **_options: Any) -> Any:
            raise ZeroDivisionError("a secret of the machine")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._whole, name)

    parts = stand.gateway.parts
    broken = Gateway(replace(parts, backend=Broken(parts.backend)), AccessLog())
    async with client_of(broken, stand.client.headers) as client:
        answer = await client.post(paths.PREDICT, json={"raw": SPAM})
    told = problem_of(answer)
    assert (told["status"], told["code"], told["detail"]) == (500, "internal_error", "Internal error")
    assert "secret" not in answer.text
    assert "Zero" not in answer.text
