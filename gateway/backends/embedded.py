"""Answers in this process: extraction and ONNX Runtime here, bundles from disk, no Triton and no MLflow.

The scorer is `serving`'s, whose answers are those of the transformer (docs/embedded.md). An e-mail of usual
size is scored at once, on the event loop: a thread would cost more than it does. Larger requests go to
threads, so that small ones do not wait for them.
"""

import asyncio
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

import orjson

from contracts.environments import Environment
from contracts.headers import INFERENCE_HEADER_LENGTH
from contracts.metrics import TRANSFORMER_DEFAULTED_SENDERS
from feature_repo.sender_numbers import SenderHistories, SenderHistory, unknown_history
from feature_repo.senders import SenderBudget, Senders
from feature_repo.settings import FeatureRepoSettings
from gateway.asked import Asked
from gateway.backends.backend import Answer, Email, Prediction, Predictions, Readiness, Row, Served
from gateway.embedded import protocol
from gateway.embedded.keeper import Held, Keeper
from gateway.embedded.wanted import Source
from gateway.errors import RequestInvalid, UpstreamLate, UpstreamNotReady, ValidationFailed
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit import email_inference, metrics
from kit.bundle import Bundle
from kit.errors import CallerError
from kit.home import Home
from serving.scorer import Extracted, Scorer, Scores

INLINE_BYTES: Final = 32 << 10
"""Of a request's e-mails; more of them are scored in a thread."""
_THREADS: Final = 2
_SWITCH_SECONDS: Final = 0.0005
"""How long the event loop waits for the interpreter while a thread works; Python's own 5 ms are several
requests."""
_WARMING: Final = b"Subject: a first message\n\nso that no request is the first\n"

Result = TypeVar("Result")


class EmbeddedBackend:
    """Answers for every environment by a bundle of its own; `gateway.backends.backend.Backend` says how."""

    def __init__(self, settings: GatewaySettings, home: Home, measures: Measures) -> None:
        self._settings = settings
        self._features = FeatureRepoSettings.load()
        self._opened: WeakValueDictionary[str, Scorer] = WeakValueDictionary()
        self._keeper = Keeper(Source(settings, home), self._scorer, measures.model)
        self._scoring = ThreadPoolExecutor(_THREADS, thread_name_prefix="scoring")
        self._explaining = ThreadPoolExecutor(1, thread_name_prefix="explanations")
        self._senders: Senders | None = None
        if settings.embedded_senders:
            defaulted = metrics.counter(TRANSFORMER_DEFAULTED_SENDERS, measures.registry)
            self._senders = Senders(lambda: self._histories(home, measures), SenderBudget(), defaulted)

    async def start(self) -> None:
        """Opens the bundles that are wanted now; one that cannot be opened is told by `readiness`."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        if self._senders is not None:
            self._senders.begin()
        await self._keeper.start()

    async def close(self) -> None:
        """Ends what was begun."""
        await self._keeper.close()
        if self._senders is not None:
            await self._senders.close()
        for threads in (self._scoring, self._explaining):
            threads.shutdown(wait=False, cancel_futures=True)

    async def predict(self, asked: Asked, emails: Sequence[Email], *, explain: bool = False) -> Predictions:
        """Returns the answers to e-mails, all by one version."""
        held = self._keeper.find(asked.environment, asked.model)
        scores = await self._scores(asked, held.model, [(email.data, email.structured) for email in emails])
        explanations: Sequence[Mapping[str, Any] | None] = (None,) * len(emails)
        if explain:
            explanations = await self._explanations(asked, held.model, scores)
        return Predictions(
            model=asked.model,
            version=held.version,
            items=[
                Prediction(row.label, row.probability, row.numeric, row.facts, explanation)
                for row, explanation in zip(_rows(scores), explanations, strict=True)
            ],
        )

    async def passed(
        self, asked: Asked | None, method: str, path: Sequence[str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Returns what the Open Inference Protocol has at a path."""
        if asked is None:
            return self._about_us(method, path)
        name, version, page = protocol.named(path)
        protocol.only(method, "POST" if page == "infer" else "GET")
        held = self._keeper.find(asked.environment, name, version)
        if page == "infer":
            return await self._inferred(asked, held, headers, body)
        if page == "ready":
            return protocol.document({"name": name, "ready": True}, held.version)
        return protocol.model(name, held.version)

    def served(self, environment: Environment) -> Sequence[Served]:
        """Returns what answers in the environment."""
        return [
            Served(
                model=held.wanted.model,
                environment=environment,
                version=held.version,
                since=held.wanted.since,
                transformer=True,
                figures=held.bundle.contract.metrics,
            )
            for held in self._keeper.held(environment)
        ]

    def readiness(self, environment: Environment) -> Readiness:
        """Tells whether a bundle is open for the environment."""
        reason = self._keeper.reason(environment)
        return Readiness(reason is None, reason)

    @property
    def degraded(self) -> str | None:
        """Why senders count as unknown although they are to be looked up, for people; None if they are."""
        return None if self._senders is None else self._senders.degraded

    def _about_us(self, method: str, path: Sequence[str]) -> Answer:
        match path:
            case []:
                answer = protocol.server()
            case ["health", "live"]:
                answer = protocol.document({"live": True})
            case ["health", "ready"]:
                for environment in self._settings.environments:
                    if not (readiness := self.readiness(environment)).ready:
                        raise UpstreamNotReady(readiness.reason or "", next_step="Try again shortly.")
                answer = protocol.document({"ready": True})
            case _:
                protocol.named(path)
                raise RequestInvalid("A model is asked in an environment.")
        protocol.only(method, "GET")
        return answer

    async def _inferred(
        self, asked: Asked, held: Held[Scorer], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        request = _read(headers, body, self._settings.max_batch)
        scores = await self._scores(
            asked, held.model, [(email, request.structured) for email in request.emails]
        )
        rows = [
            replace(row, message_sha256=hashlib.sha256(email).hexdigest())
            for row, email in zip(_rows(scores), request.emails, strict=True)
        ]
        values: dict[str, email_inference.Values] = {
            "probability": scores.probabilities[:, -1],
            "label": scores.labels,
            "verdict": scores.verdicts,
            "numeric": scores.numeric,
            "text_statistics": [orjson.dumps(row.facts.text_statistics).decode() for row in rows],
            "facts": [row.facts.model_dump_json() for row in rows],
        }
        if "explanation" in request.names:
            explained = await self._explanations(asked, held.model, scores)
            values["explanation"] = [orjson.dumps(told).decode() for told in explained]
        answer, json_length = email_inference.written(
            request, values, model=held.wanted.model, version=held.version
        )
        return Answer(
            answer, protocol.content_type(json_length), held.version, json_length=json_length, rows=rows
        )

    async def _scores(
        self, asked: Asked, scorer: Scorer, emails: Sequence[tuple[bytes, bool | None]]
    ) -> Scores:
        """Returns the scores of e-mails, each with whether it is structured (None: it tells itself)."""
        large = sum(len(email) for email, _ in emails) > INLINE_BYTES
        messages = await self._done(asked, large, lambda: _extracted(scorer, emails))
        history = await self._history(asked, messages)
        return await self._done(asked, large, lambda: scorer.answered(messages, history))

    async def _history(self, asked: Asked, messages: Sequence[Extracted]) -> SenderHistory:
        if self._senders is None:
            return unknown_history(len(messages))
        try:
            async with asyncio.timeout_at(asked.deadline):
                return await self._senders.history([message.sender for message in messages])
        except TimeoutError:
            raise _late() from None

    async def _explanations(
        self, asked: Asked, scorer: Scorer, scores: Scores
    ) -> Sequence[Mapping[str, Any]]:
        def told() -> list[Mapping[str, Any]]:
            return [explanation.model_dump(mode="json") for explanation in scorer.explained(scores)]

        return await self._elsewhere(self._explaining, asked, told)

    async def _done(self, asked: Asked, large: bool, work: Callable[[], Result]) -> Result:
        """Returns the result of `work`, which is done at once, or in a thread if it is large."""
        if large:
            return await self._elsewhere(self._scoring, asked, work)
        if asyncio.get_running_loop().time() >= asked.deadline:
            raise _late()
        try:
            return work()
        except CallerError as exc:
            raise _refused(exc) from None

    async def _elsewhere(self, threads: Executor, asked: Asked, work: Callable[[], Result]) -> Result:
        try:
            async with asyncio.timeout_at(asked.deadline):
                return await asyncio.get_running_loop().run_in_executor(threads, work)
        except TimeoutError:
            raise _late() from None
        except CallerError as exc:
            raise _refused(exc) from None

    def _scorer(self, bundle: Bundle) -> Scorer:
        """Returns what answers by a bundle; one for all environments that have the same one."""
        digest = bundle.digest
        scorer = self._opened.get(digest)
        if scorer is None:
            scorer = Scorer(bundle, self._features)
            scorer.answered([scorer.extracted(_WARMING)], unknown_history(1))
            self._opened[digest] = scorer
        return scorer

    def _histories(self, home: Home, measures: Measures) -> SenderHistories:
        # Importing Feast takes seconds.
        from feature_repo.online import SenderLookup
        from feature_repo.store import open_store

        return SenderLookup(open_store(home, self._features), measures.registry).history


def _read(headers: Mapping[str, str], body: bytes, most: int) -> email_inference.InferenceRequest:
    length = headers.get(INFERENCE_HEADER_LENGTH.lower())
    if length is not None and not (length.isdecimal() and len(length) < 16):  # noqa: PLR2004 - int() is slow then
        raise RequestInvalid(f"The header {INFERENCE_HEADER_LENGTH} must be a whole number.")
    try:
        return email_inference.read(body, None if length is None else int(length), max_emails=most)
    except email_inference.RequestInvalid as exc:
        raise RequestInvalid(exc.message, next_step=exc.next_step) from None


def _extracted(scorer: Scorer, emails: Sequence[tuple[bytes, bool | None]]) -> list[Extracted]:
    return [scorer.extracted(email, structured=structured) for email, structured in emails]


def _rows(scores: Scores) -> list[Row]:
    return [
        Row(probability=probability, label=verdict, numeric=numbers, facts=facts)
        for probability, verdict, numbers, facts in zip(
            scores.probabilities[:, -1].tolist(),
            scores.verdicts,
            scores.numeric.tolist(),
            scores.facts,
            strict=True,
        )
    ]


def _refused(error: CallerError) -> ValidationFailed:
    """Returns what a client is told of an e-mail that is none, or of a model that explains nothing."""
    return ValidationFailed(error.message, next_step=error.next_step)


def _late() -> UpstreamLate:
    return UpstreamLate(
        "There was no answer within the time given.", next_step="Allow more time by X-Request-Timeout-Ms."
    )
