"""The backend of environments whose models run in servers of their own: transformers and Triton, by HTTP.

The parts stand in `gateway/upstream/`; docs/upstreams.md tells how they work together.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from yarl import URL

from contracts import headers as names
from contracts.environments import HEADER as ENVIRONMENT
from contracts.environments import Environment
from gateway.asked import Asked
from gateway.backends.backend import Answer, Email, Prediction, Predictions, Readiness, Served
from gateway.errors import EnvironmentUnknown, RequestInvalid, UpstreamNotReady
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from gateway.upstream import answers, emails, passing, server_pages
from gateway.upstream.addresses import Address
from gateway.upstream.answers import Answered, Unfitting
from gateway.upstream.client import Reply, sent_headers
from gateway.upstream.emails import Part
from gateway.upstream.pages import INFER, READY, Page, described, page_of, require_there
from gateway.upstream.refusals import failed, refusal, unknown_version
from gateway.upstream.upstreams import Upstreams
from kit.home import Home

_LENGTH: Final = names.INFERENCE_HEADER_LENGTH.lower()
_ROUNDS: Final = 4
"""How often the parts of a batch are asked again, until one version has answered all."""


class _Told(NamedTuple):
    """What one version said of a part of a batch."""

    part: Part
    version: str
    predictions: Sequence[Prediction]


class OipBackend:
    """Answers by servers of the Open Inference Protocol (`gateway.backends.backend.Backend`)."""

    def __init__(self, settings: GatewaySettings, home: Home, measures: Measures) -> None:
        self._settings = settings
        self._upstreams = Upstreams(settings, home, measures)
        self._table = self._upstreams.table

    async def start(self) -> None:
        """Opens the pools, and sees once who is ready."""
        await self._upstreams.start()

    async def close(self) -> None:
        """Closes all connections."""
        await self._upstreams.close()

    def served(self, environment: Environment) -> Sequence[Served]:
        """Returns what answers in the environment, by name."""
        return [
            Served(
                model=address.model,
                environment=environment,
                version=self._table.version(address),
                since=address.since,
                transformer=address.transformer,
                figures=address.contract.metrics if address.contract is not None else {},
            )
            for address in self._table.served(environment)
        ]

    def readiness(self, environment: Environment) -> Readiness:
        """Tells whether the environment answers, as it was last seen."""
        return self._upstreams.probes.readiness(environment)

    async def predict(self, asked: Asked, messages: Sequence[Email], *, explain: bool = False) -> Predictions:
        """Returns the answers to e-mails, all by one version.

        Raises:
            RequestInvalid: the model takes no e-mails.
            SluiceError: as `Backend` says.
        """
        address = self._table.find(asked.environment, asked.model)
        if not address.transformer:
            raise RequestInvalid(
                f"{asked.model} takes numbers and no e-mails.",
                next_step=f"Ask it by POST /v2/models/{asked.model}/infer.",
            )
        with self._upstreams.guarded(address):
            if len(messages) == 1:
                told = await self._told(asked, address, Part((0,), messages), explain=explain)
                return Predictions(asked.model, told.version, told.predictions)
            return await self._batch(asked, address, messages, explain=explain)

    async def passed(
        self, asked: Asked | None, method: str, path: Sequence[str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Returns the answer to `/v2/{path}`.

        Raises:
            PathUnknown: there is no such path; nothing is passed on that is not known here.
            MethodRefused: it is asked in another way.
            SluiceError: as `Backend` says.
        """
        if asked is None:
            return server_pages.answer(path, method, self.readiness(self._environment(headers)))
        page = page_of(path, method)
        address = self._table.find(asked.environment, page.model)
        require_there(page, address)
        if page.name == INFER:
            length = _whole_number(headers.get(_LENGTH))
            request = passing.written(address, body, length)
            with self._upstreams.guarded(address):
                return await self._inferred(asked, address, page, request)
        with self._upstreams.guarded(address):
            return await self._page(asked, address, page)

    def _environment(self, headers: Mapping[str, str]) -> Environment:
        told = headers.get(ENVIRONMENT.lower())
        try:
            return self._settings.default_environment if told is None else Environment(told)
        except ValueError:
            raise EnvironmentUnknown(f"{ENVIRONMENT} names no environment.") from None

    async def _batch(
        self, asked: Asked, address: Address, batch: Sequence[Email], *, explain: bool
    ) -> Predictions:
        """Asks for a batch in parts; those answered by another version than the last one are asked again."""
        waiting = emails.parts_of(batch)
        told: list[_Told] = []
        for _ in range(_ROUNDS):
            told += await _all(self._told(asked, address, part, explain=explain) for part in waiting)
            version = told[-1].version
            waiting = [one.part for one in told if one.version != version]
            told = [one for one in told if one.version == version]
            if not waiting:
                items: dict[int, Prediction] = {}
                for one in told:
                    items |= zip(one.part.positions, one.predictions, strict=True)
                return Predictions(asked.model, version, [items[at] for at in range(len(batch))])
        raise failed(address, "several versions answered the parts of one batch")

    async def _told(self, asked: Asked, address: Address, part: Part, *, explain: bool) -> _Told:
        body, json_length = emails.written(part.emails, explain=explain)
        address, reply = await self._upstreams.exchange(
            address, _infer, sent_headers(asked, json_length), body, asked.deadline
        )
        try:
            answered = await self._answered(asked, reply, address)
            predictions = emails.predictions(
                answered.tensors, address, answered.version, len(part.emails), explain=explain
            )
        except RequestInvalid as exc:
            # The caller's e-mails were understood here: what the server does not take is our own request.
            raise failed(address, "it did not take the request of the gateway") from exc
        except Unfitting as exc:
            raise failed(address, str(exc)) from None
        return _Told(part, answered.version, predictions)

    async def _inferred(self, asked: Asked, address: Address, page: Page, request: passing.Passed) -> Answer:
        address, reply = await self._upstreams.exchange(
            address,
            lambda now: now.page(INFER, page.version),
            sent_headers(asked, request.json_length),
            request.body,
            asked.deadline,
        )
        try:
            answered = await self._answered(asked, reply, address, page.version)
            if page.version not in {None, answered.version}:
                raise unknown_version(address)
            return passing.answer(request, answered, address)
        except Unfitting as exc:
            raise failed(address, str(exc)) from None

    async def _answered(
        self, asked: Asked, reply: Reply, address: Address, version: str | None = None
    ) -> Answered:
        """Returns the answer in a reply; `version` is the one that the client named.

        Raises:
            Unfitting: it is none, or by a version that nobody knows.
            SluiceError: the server told an error.
        """
        if reply.status != HTTPStatus.OK:
            raise refusal(reply, address, version)
        answered = answers.read(reply, address)
        if not self._table.knows(address, answered.version) and not await self._upstreams.recognises(
            address, answered.version, asked.deadline
        ):
            raise Unfitting("it answered by a version that its environment does not serve")
        if address.version is None:
            self._table.heard(address, answered.version)
        return answered

    async def _page(self, asked: Asked, address: Address, page: Page) -> Answer:
        sent = {names.REQUEST_ID: asked.request_id, names.TRACEPARENT: asked.traceparent}
        address, reply = await self._upstreams.exchange(
            address, lambda now: now.page(page.name, page.version), sent, None, asked.deadline
        )
        if page.name == READY and reply.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            raise UpstreamNotReady(f"{address.model} is not ready in {address.environment}.")
        if reply.status != HTTPStatus.OK:
            raise refusal(reply, address, page.version)
        try:
            body = described(page, reply, address)
        except Unfitting as exc:
            raise failed(address, str(exc)) from None
        return Answer(body, "application/json", version=page.version or self._table.version(address))


def _infer(address: Address) -> URL:
    return address.infer


async def _all(coroutines: Iterable[Awaitable[_Told]]) -> list[_Told]:
    """Returns what all of them return, in the order in which they ended; when one fails, the others end."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return [await task for task in asyncio.as_completed(tasks)]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _whole_number(value: str | None) -> int | None:
    if value is None:
        return None
    if not value.isascii() or not value.isdecimal() or len(value) > 15:  # noqa: PLR2004
        raise RequestInvalid(f"The header {names.INFERENCE_HEADER_LENGTH} must be a whole number.")
    return int(value)
