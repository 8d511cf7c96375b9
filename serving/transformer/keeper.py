"""Keeps the version that answers the one that is asked for, and knows whether Triton has it.

The route file is looked at every tenth of a second. A new version is verified and then flipped to, in one
assignment; if it is refused, the former one stays and readiness says why. Triton is asked for the current
version now and then, and often while it is away; when it is back, the version is verified anew before we are
ready again. Requests do not wait for that: they are sent, and answered as Triton answers.
"""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import ValidationError

from contracts.routes import Route
from kit.bundle import BundleDamaged
from kit.errors import CallerError, OperationalError, Refused, SluiceError
from serving.transformer import MODEL
from serving.transformer.errors import NotReady
from serving.transformer.measures import Measures
from serving.transformer.settings import TransformerSettings
from serving.transformer.versions import Loader, Served, Target, verify

log = structlog.get_logger(__name__)

_POLL_SECONDS: Final = 0.1
_PROBE_SECONDS: Final = 1.0
_AWAY_PROBE_SECONDS: Final = 0.2
_READY_SECONDS: Final = 1.0


class RouteUnreadable(CallerError):
    """The route file is none, or one of another model."""

    status = 422
    code = "route_unreadable"
    title = "The route cannot be read"


class Keeper:
    """The version in use, those that end beside it, and what was refused."""

    def __init__(self, settings: TransformerSettings, target: Target | None, measures: Measures) -> None:
        self._settings = settings
        self._measures = measures
        self._loader = Loader(settings, measures.predictor_seconds, measures.predictor_rows)
        self._wanted = target
        self._seen: tuple[int, int, int] | None = None
        self._judged: Target | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._doubt = asyncio.Event()
        self.current: Served | None = None
        self.ending: list[Served] = []
        self.refused: dict[str, str] | None = None
        self.pending: dict[str, str] | None = None
        self.away: str | None = None
        """Why Triton is taken to be away; None while it has the current version."""

    def version(self, wanted: str | None = None) -> Served:
        """Returns the version that answers now, or the one that is `wanted` while it is still held.

        Raises:
            NotReady: none was verified yet.
            LookupError: another version is wanted.
        """
        if self.current is None:
            raise NotReady(
                "No model version was verified yet.", next_step="Ask /v2/health/ready for the reason."
            )
        for served in (self.current, *self.ending):
            if wanted is None or served.version == wanted:
                return served
        raise LookupError(wanted)

    def doubt(self) -> None:
        """Says that Triton did not answer: readiness is to be looked into at once."""
        self._doubt.set()

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Returns whether requests can be answered, and what there is to tell about it."""
        ready = self.current is not None and self.away is None
        told: dict[str, Any] = {"ready": ready, "status": "ready" if ready else "not_ready", "model": MODEL}
        if self.current is not None:
            told["version"] = self.current.version
        if self.away is not None:
            told["reason"] = self.away
        if self.pending is not None:
            told["pending"] = self.pending
        if self.refused is not None:
            told["refused"] = self.refused
        if self.ending:
            told["ending"] = {served.version: served.in_flight for served in self.ending}
        return ready, told

    async def start(self) -> None:
        """Begins to follow the route and to watch Triton."""
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._watch())]
        for task in self._tasks:
            task.add_done_callback(_end_process)

    async def close(self) -> None:
        """Ends both, and closes the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        held = [*self.ending, *([self.current] if self.current is not None else [])]
        for predictor in {served.predictor for served in held}:
            await predictor.close()

    async def _follow(self) -> None:
        while True:
            self._read_route()
            wanted = self._wanted
            if wanted is not None and wanted != self._judged:
                await self._adopt(wanted)
            await self._let_go()
            await asyncio.sleep(_POLL_SECONDS)

    def _read_route(self) -> None:
        path = self._settings.route
        if path is None:
            return
        try:
            stat = path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen == self._seen:
                return
            self._seen = seen
            self._wanted = Target.of(_route(path))
            self.pending = self._judged = None  # written anew, it is judged anew
            if self.current is not None and self._wanted == self.current.target:
                self._judged, self.refused = self._wanted, None
        except FileNotFoundError:
            if self.current is None:
                self.pending = {"reason": f"There is no route at {path} yet."}
        except RouteUnreadable as exc:
            self._refuse("unknown", exc)
        except OSError as exc:
            self._refuse("unknown", RouteUnreadable(f"{path} cannot be read: {exc.strerror}."))

    async def _adopt(self, wanted: Target) -> None:
        """Makes `wanted` the current version; what cannot be told yet is tried again."""
        try:
            candidate = await self._loader.served(wanted, self.current)
        except (BundleDamaged, Refused) as exc:
            self._refuse(wanted.version, exc)
            return
        except OSError as exc:
            self._refuse(
                wanted.version, RouteUnreadable(f"The bundle {wanted.bundle} cannot be read: {exc.strerror}.")
            )
            return
        except OperationalError as exc:
            self.pending = {"version": wanted.version, "reason": exc.message}
            return
        former, self.current, self._judged = self.current, candidate, wanted
        self.refused = self.pending = self.away = None
        self._measures.model.labels(MODEL, wanted.version).set(1)
        if former is not None:
            self.ending.append(former)
            if former.version != wanted.version:
                self._measures.model.labels(MODEL, former.version).set(0)
        log.info("model_version_serves", version=wanted.version, former=former and former.version)

    async def _let_go(self) -> None:
        for served in [served for served in self.ending if not served.in_flight]:
            self.ending.remove(served)
            still = {self.current, *self.ending}
            if not any(other is not None and other.predictor is served.predictor for other in still):
                await served.predictor.close()

    def _refuse(self, version: str, error: SluiceError) -> None:
        reason = "; ".join([error.message, *(error.reasons if isinstance(error, Refused) else ())])
        refusal = {"version": version, "reason": reason}
        if refusal != self.refused:
            self._measures.refused_versions.inc()
            log.warning("model_version_refused", version=version, reason=reason)
        self.refused, self.pending = refusal, None
        # Without another version there is nothing to stay on: the cause may yet be mended.
        if self.current is not None:
            self._judged = self._wanted

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_SECONDS if self.away is None else _AWAY_PROBE_SECONDS):
                    await self._doubt.wait()
            self._doubt.clear()
            served = self.current
            if served is None:
                continue
            away = await self._missing(served)
            if served is not self.current:
                continue
            if (away is None) is not (self.away is None):
                log.warning("predictor_away", reason=away) if away else log.info("predictor_back")
            self.away = away
            if away is not None:
                await asyncio.sleep(_AWAY_PROBE_SECONDS)

    async def _missing(self, served: Served) -> str | None:
        """Returns why Triton cannot be asked for the version, or None if it can; verified if it was away."""
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        if not await served.predictor.ready(served.model, served.version, deadline):
            return f"Triton at {served.predictor.address} does not have version {served.version} ready."
        if self.away is None:
            return None
        try:
            await verify(served.bundle, served.version, served.predictor, self._settings.rows_per_call)
        except (OperationalError, Refused) as exc:
            return exc.message
        return None


def _end_process(task: "asyncio.Task[None]") -> None:
    """Ends a process whose version nobody keeps any more, cleanly: who started it starts it again."""
    if not task.cancelled() and task.exception() is not None:
        log.error("keeper_failed", exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)


def _route(path: Path) -> Route:
    try:
        route = Route.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as exc:
        raise RouteUnreadable(f"{path} is not a route.") from exc
    if route.model != MODEL:
        raise RouteUnreadable(f"{path} is a route of {route.model}, and this is a transformer of {MODEL}.")
    return route
