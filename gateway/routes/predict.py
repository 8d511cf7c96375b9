"""`POST /v1/predict` and `/v1/predict/batch`: e-mails in, verdicts out."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from contracts import gateway as paths
from gateway.asked import Asked
from gateway.backends.backend import Email, Prediction, Predictions
from gateway.emails import MESSAGE, email_in, email_of, kind_of
from gateway.http import JSON, Document, document
from gateway.parts import Parts
from gateway.passage import Passage
from gateway.remembering import rows_of
from gateway.routes.lean import LeanRoute
from gateway.validation import failed, fault, object_of, shown
from kit.errors import SluiceError, problem

_EXPLAIN: Final = "explain"
_TRUTHS: Final = {"true": True, "false": False, "1": True, "0": False}
_MAX_PARAMETERS: Final = 20


class Predicting:
    """Answers e-mails with verdicts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._model = parts.settings.default_model

    def routes(self) -> list[LeanRoute]:
        """Returns the routes."""
        return [
            LeanRoute(paths.PREDICT, self.predict, methods=["POST"]),
            LeanRoute(paths.PREDICT_BATCH, self.predict_batch, methods=["POST"]),
        ]

    async def predict(self, request: Request, passage: Passage) -> Document:
        """Tells whether an e-mail is spam."""
        parts = self._parts
        async with parts.entry.asked(passage, self._model, seconds=self._seconds(request)) as asked:
            explain = _explain(request.scope["query_string"])
            kind = kind_of(passage.headers, JSON, MESSAGE)
            async with parts.bodies.body(request.receive, passage.headers, asked.deadline) as body:
                email = email_of(body, kind, parts.settings)
                emails = (email,)
                predictions = await parts.backend.predict(asked, emails, explain=explain)
        passage.version = predictions.version
        passage.emails = 1
        prediction = predictions.items[0]
        latency = time.perf_counter() - passage.begun
        answer = _verdict(passage.request_id, prediction) | {
            "environment": asked.environment.value,
            "model": predictions.model,
            "version": predictions.version,
            "latency_ms": round(latency * 1000, 3),
        }
        self._remember(asked, (passage.request_id,), emails, predictions, latency)
        return document(answer)

    async def predict_batch(self, request: Request, passage: Passage) -> Document:
        """Tells of several e-mails which are spam; one that is wrong fails alone."""
        parts = self._parts
        async with parts.entry.asked(passage, self._model, seconds=self._seconds(request)) as asked:
            explain = _explain(request.scope["query_string"])
            kind_of(passage.headers, JSON)
            async with parts.bodies.body(request.receive, passage.headers, asked.deadline) as body:
                listed = _listed(body, parts.settings.max_batch)
                if len(listed) > 1:
                    await parts.entry.spend(passage, asked.caller, len(listed) - 1, counted=1)
                good, problems = self._sorted(listed, passage.request_id)
                emails = tuple(good.values())
                predictions = await parts.backend.predict(asked, emails, explain=explain) if good else None
        passage.version = predictions.version if predictions is not None else None
        passage.emails = len(good)
        latency = time.perf_counter() - passage.begun
        results: dict[int, dict[str, Any]] = {}
        if predictions is not None:
            ids = [f"{passage.request_id}.{index}" for index in good]
            results = {
                index: _verdict(name, prediction)
                for index, name, prediction in zip(good, ids, predictions.items, strict=True)
            }
            self._remember(asked, ids, emails, predictions, latency)
        return document(
            {
                "request_id": passage.request_id,
                "environment": asked.environment.value,
                "model": self._model,
                "version": passage.version,
                "latency_ms": round(latency * 1000, 3),
                "answered": len(results),
                "refused": len(problems),
                "items": [
                    {"index": index, "result": results[index]}
                    if index in results
                    else {"index": index, "problem": problems[index]}
                    for index in range(len(listed))
                ],
            }
        )

    def _seconds(self, request: Request) -> float | None:
        """Returns how long an answer may take if the caller does not say: longer if it is to be explained."""
        # Whether the query makes sense is told after the key was looked at.
        asks = _EXPLAIN.encode() in request.scope["query_string"]
        return self._parts.settings.explain_timeout_seconds if asks else None

    def _sorted(
        self, listed: Sequence[Any], request_id: str
    ) -> tuple[Mapping[int, Email], Mapping[int, dict[str, Any]]]:
        """Returns what can be asked, and what is wrong with the rest, by index."""
        good: dict[int, Email] = {}
        problems: dict[int, dict[str, Any]] = {}
        for index, item in enumerate(listed):
            try:
                good[index] = email_in(item, self._parts.settings)
            except SluiceError as exc:
                problems[index] = problem(exc, request_id=f"{request_id}.{index}")
        return good, problems

    def _remember(
        self,
        asked: Asked,
        ids: Sequence[str],
        emails: Sequence[Email],
        predictions: Predictions,
        latency: float,
    ) -> None:
        """Hands the answers to the records and the question to the shadow; neither waits nor raises."""
        rows = rows_of(emails, predictions)
        self._parts.remembering.keep(asked, predictions.version, rows, ids, latency)
        self._parts.shadow.mirror(asked, emails, predictions, ids)


def _verdict(request_id: str, prediction: Prediction) -> dict[str, Any]:
    told: dict[str, Any] = {
        "request_id": request_id,
        "verdict": prediction.verdict,
        "probability": prediction.probability,
        "threshold": prediction.facts.threshold,
    }
    if prediction.explanation is not None:
        told["explanation"] = prediction.explanation
    return told


def _explain(query: bytes) -> bool:
    """Returns whether an explanation is asked for.

    Raises:
        ValidationFailed: another parameter is given, or another value.
    """
    if not query:
        return False
    if query.count(b"&") > _MAX_PARAMETERS:
        raise failed([fault("query", "has too many parameters")])
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    faults = [fault(shown(name), "is no parameter here") for name, _ in given if name != _EXPLAIN]
    values = [value for name, value in given if name == _EXPLAIN]
    if len(values) > 1:
        faults.append(fault(_EXPLAIN, "is given more than once"))
    elif values and values[0] not in _TRUTHS:
        faults.append(fault(_EXPLAIN, "must be true or false"))
    if faults:
        raise failed(faults)
    return _TRUTHS[values[0]] if values else False


def _listed(body: bytes, most: int) -> list[Any]:
    """Returns the e-mails of a batch, unchecked.

    Raises:
        RequestInvalid: the body is not JSON.
        ValidationFailed: it is no list of 1 to `most`.
    """
    given = object_of(body, "batch")
    faults = [fault(shown(name), "is no field of a batch") for name in given if name != "emails"]
    emails = given.get("emails")
    if not isinstance(emails, list):
        faults.append(fault("emails", "must be a list of e-mails"))
    elif not 1 <= len(emails) <= most:
        faults.append(fault("emails", f"must hold 1 to {most} e-mails"))
    if faults:
        raise failed(faults)
    return list(emails or ())
