"""The shadow: a share of one environment's e-mails is asked of the other one too, and nobody waits for it.

What the other environment says is remembered beside what the caller was told (`shadow_of`), and compared: how
often two versions disagree on real traffic is known before the second one is promoted. A copy has a deadline
of its own; when as many as may be are under way, further ones are skipped and counted.
"""

import asyncio
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from contracts.environments import Environment
from gateway.asked import Asked
from gateway.backends.backend import Backend, Email, Predictions
from gateway.measures import Measures
from gateway.memory.answered import Recorder
from gateway.remembering import SHADOW, Remembering, ids_of, rows_of
from gateway.settings import GatewaySettings
from kit.errors import SluiceError

log = structlog.get_logger(__name__)

_HASHES: Final = 1 << 32
_OTHER: Final = {
    Environment.STAGING: Environment.PRODUCTION,
    Environment.PRODUCTION: Environment.STAGING,
}


class Shadow:
    """Mirrors what was answered; without `settings.shadow_environment` it does nothing."""

    def __init__(
        self, settings: GatewaySettings, backend: Backend, recorder: Recorder, measures: Measures
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._remembering = Remembering(recorder, measures)
        self._share = settings.shadow_share * _HASHES
        self._tasks: set[asyncio.Task[None]] = set()
        target = None if settings.shadow_environment is None else _OTHER[settings.shadow_environment]
        self._target = target
        self._outcomes = {
            outcome: measures.shadows.labels(target, outcome)
            for outcome in ("agreed", "disagreed", "failed", "skipped")
            if target is not None
        }

    def mirror(
        self,
        asked: Asked,
        emails: Sequence[Email],
        predictions: Predictions,
        ids: Sequence[str] | None = None,
    ) -> None:
        """Has a share of requests asked of the other environment too; returns at once.

        `ids` are the request ids of the rows, where they are not `ID` for one e-mail and `ID.0`, `ID.1`, …
        for several. The share is taken by a hash of the request id: a repeated request is mirrored again.
        """
        if self._target is None or asked.environment is not self._settings.shadow_environment:
            return
        if zlib.crc32(asked.request_id.encode()) >= self._share:
            return
        if len(self._tasks) >= self._settings.shadow_at_once:
            self._outcomes["skipped"].inc()
            return
        if ids is None:
            ids = ids_of(asked.request_id, len(emails))
        copy = replace(
            asked,
            request_id=f"{asked.request_id}{SHADOW}",
            environment=self._target,
            deadline=asyncio.get_running_loop().time() + self._settings.timeout_seconds,
        )
        task = asyncio.create_task(self._mirrored(copy, tuple(emails), predictions, tuple(ids)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends copies that are under way; called once, after the last answer."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _mirrored(
        self, copy: Asked, emails: Sequence[Email], told: Predictions, ids: Sequence[str]
    ) -> None:
        begun = time.perf_counter()
        try:
            found = await self._backend.predict(copy, emails)
            rows = rows_of(emails, found)
        except SluiceError as exc:
            self._outcomes["failed"].inc()
            log.info("shadow_failed", request_id=copy.request_id, code=exc.code)
            return
        except Exception:
            self._outcomes["failed"].inc()
            log.exception("shadow_failed", request_id=copy.request_id)
            return
        agreed = all(one.verdict == other.verdict for one, other in zip(told.items, found.items, strict=True))
        latency = time.perf_counter() - begun
        self._remembering.keep(copy, found.version, rows, ids, latency, mirrored=True)
        self._outcomes["agreed" if agreed else "disagreed"].inc()
