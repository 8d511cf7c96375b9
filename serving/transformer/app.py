"""The transformer as an ASGI application: the Open Inference Protocol V2 over HTTP, and `/metrics`.

No framework stands between the server and this: there are nine paths, and a framework's share of a request
would be as large as ours.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from contracts.tensors import (
    TRANSFORMER_EXTRA_OUTPUTS,
    TRANSFORMER_INPUTS,
    TRANSFORMER_OUTPUTS,
    Tensor,
)
from feature_repo.senders import Senders
from kit import email_inference as wire
from kit.errors import Bug, SluiceError
from serving.transformer import MODEL
from serving.transformer.answering import Answering
from serving.transformer.errors import (
    BodyLate,
    DeadlinePassed,
    MethodRefused,
    ModelUnknown,
    Overloaded,
    PathUnknown,
)
from serving.transformer.http import (
    BodyBudget,
    ClientLeft,
    Receive,
    Scope,
    Send,
    head_of,
    send_inference,
    send_json,
    send_problem,
    send_text,
)
from serving.transformer.keeper import Keeper
from serving.transformer.measures import Measures
from serving.transformer.settings import TransformerSettings
from serving.transformer.versions import Served

log = structlog.get_logger(__name__)

NAME: Final = "sluice-transformer"
EXTENSIONS: Final = ("binary_tensor_data",)

_Page = Callable[[Send], Awaitable[None]]


class Transformer:
    """The application; `begin` and `end` are called when the server starts and stops."""

    def __init__(
        self,
        *,
        settings: TransformerSettings,
        keeper: Keeper,
        answering: Answering,
        senders: Senders,
        measures: Measures,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._answering = answering
        self._senders = senders
        self._measures = measures
        self._begin, self._end = begin, end
        self._bodies = BodyBudget(settings)
        self._at_work = 0
        self._statuses: dict[int, Any] = {}
        self._pages: dict[str, _Page] = {
            "/v2": self._server,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
            "/metrics": self._metrics,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection's request, or the server's beginning and end."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise Bug(f"The transformer speaks HTTP, and not {scope['type']}.")
        try:
            await self._routed(scope, receive, send)
        except SluiceError as exc:
            await send_problem(scope, send, exc)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._begin()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._end()
        await send({"type": "lifespan.shutdown.complete"})

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].rstrip("/") or "/"
        page = self._pages.get(path)
        if page is not None:
            _only(scope, "GET")
            await page(send)
            return
        match path.split("/")[1:]:
            case ["v2", "models", model, "infer"]:
                _only(scope, "POST")
                await self._counted(scope, receive, send, model, None)
            case ["v2", "models", model, "versions", version, "infer"]:
                _only(scope, "POST")
                await self._counted(scope, receive, send, model, version)
            case ["v2", "models", model]:
                _only(scope, "GET")
                await self._model(send, model, None)
            case ["v2", "models", model, "versions", version]:
                _only(scope, "GET")
                await self._model(send, model, version)
            case ["v2", "models", model, "ready"]:
                _only(scope, "GET")
                await self._model_ready(send, model, None)
            case ["v2", "models", model, "versions", version, "ready"]:
                _only(scope, "GET")
                await self._model_ready(send, model, version)
            case _:
                raise PathUnknown(
                    "There is no such path here.", next_step=f"Infer at /v2/models/{MODEL}/infer."
                )

    async def _counted(
        self, scope: Scope, receive: Receive, send: Send, model: str, version: str | None
    ) -> None:
        """Answers an inference request, whatever comes of it, and counts and times it."""
        begun = time.perf_counter()
        try:
            with self._admitted():
                await self._inferred(scope, receive, send, model, version)
            status = 200
        except ClientLeft:
            status = 499
        except SluiceError as exc:
            status = exc.status
            await send_problem(scope, send, exc)
        except Exception as exc:
            log.exception("inference_failed")
            status = 500
            await send_problem(scope, send, Bug(str(exc)))
        counter = self._statuses.get(status)
        if counter is None:
            counter = self._statuses[status] = self._measures.requests.labels(str(status))
        counter.inc()
        self._measures.request_seconds.observe(time.perf_counter() - begun)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._at_work >= self._settings.max_requests_at_once:
            raise Overloaded("As many requests as may be are under way.")
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    async def _inferred(
        self, scope: Scope, receive: Receive, send: Send, model: str, version: str | None
    ) -> None:
        served = self._served(model, version)
        head = head_of(scope, self._settings)
        deadline = asyncio.get_running_loop().time() + head.timeout_seconds
        held: list[int] = []
        request = None
        try:
            with served.in_use():
                async with asyncio.timeout_at(deadline):
                    body = await self._bodies.body(receive, head, held)
                    request = wire.read(body, head.json_length, max_emails=self._settings.max_emails)
                    values, by = await self._answering.answered(request, served, deadline)
        except TimeoutError:
            if request is None:
                raise BodyLate("The body was not whole when the request's time was over.") from None
            raise DeadlinePassed(f"There was no answer within {head.timeout_seconds:g} s.") from None
        finally:
            self._bodies.release(held)
        answer, json_length = wire.written(request, values, model=MODEL, version=by.version)
        await send_inference(send, answer, json_length, by.version)

    def _served(self, model: str, version: str | None) -> Served:
        if model != MODEL:
            raise ModelUnknown(f"The model here is {MODEL}.", next_step=f"Infer at /v2/models/{MODEL}/infer.")
        try:
            return self._keeper.version(version)
        except LookupError:
            current = self._keeper.version().version
            raise ModelUnknown(
                f"The version of {MODEL} that is served here is {current}.",
                next_step="Leave the version out of the path, or name that one.",
            ) from None

    async def _model(self, send: Send, model: str, version: str | None) -> None:
        served = self._served(model, version)
        await send_json(
            send,
            {
                "name": MODEL,
                "versions": [served.version],
                "platform": NAME,
                "inputs": [_described(tensor) for tensor in TRANSFORMER_INPUTS],
                "outputs": [
                    _described(tensor) for tensor in (*TRANSFORMER_OUTPUTS, *TRANSFORMER_EXTRA_OUTPUTS)
                ],
            },
        )

    async def _model_ready(self, send: Send, model: str, version: str | None) -> None:
        self._served(model, version)
        ready, told = self._readiness()
        await send_json(send, {"name": MODEL, **told}, 200 if ready else 503)

    async def _server(self, send: Send) -> None:
        await send_json(send, {"name": NAME, "version": "2", "extensions": list(EXTENSIONS)})

    async def _live(self, send: Send) -> None:
        await send_json(send, {"live": True})

    async def _ready(self, send: Send) -> None:
        ready, told = self._readiness()
        await send_json(send, told, 200 if ready else 503)

    def _readiness(self) -> tuple[bool, dict[str, Any]]:
        ready, told = self._keeper.readiness()
        if self._senders.opening:
            ready = False
            told |= {"ready": False, "status": "not_ready", "reason": "The sender store is being opened."}
            return ready, told
        if self._senders.degraded is not None:
            told["degraded"] = [self._senders.degraded]
            if ready:
                told["status"] = "degraded"
        return ready, told

    async def _metrics(self, send: Send) -> None:
        await send_text(send, generate_latest(self._measures.registry), CONTENT_TYPE_LATEST)


def _only(scope: Scope, method: str) -> None:
    if scope["method"] != method and not (method == "GET" and scope["method"] == "HEAD"):
        raise MethodRefused(f"This path is asked by {method}.")


def _described(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": [-1, *tensor.shape]}
