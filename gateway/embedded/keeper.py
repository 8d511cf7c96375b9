"""Keeps for each model and environment the bundle that answers, and changes it when another one is wanted.

What is wanted is looked at every tenth of a second. A bundle is checked byte by byte and opened in a thread,
beside the one that answers; then it takes over in one assignment. What began with the former one ends on it,
and it goes when the last such request is answered. A bundle that is refused changes nothing.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog
from prometheus_client import Gauge

from contracts.environments import Environment
from gateway.embedded.wanted import Key, Source, Wanted
from gateway.errors import ModelUnknown, UpstreamNotReady
from kit.bundle import Bundle, load
from kit.errors import SluiceError

log = structlog.get_logger(__name__)

Model = TypeVar("Model")

_LOOK_SECONDS: Final = 0.1
_AGAIN_SECONDS: Final = 2.0
"""How long a bundle that was refused is left alone; its cause may be mended."""


@dataclass(frozen=True, eq=False)
class Held(Generic[Model]):
    """A bundle that answers, and what was opened of it."""

    wanted: Wanted
    version: str
    bundle: Bundle
    model: Model


class Keeper(Generic[Model]):
    """The bundles that answer; `opened` makes of a checked bundle what answers by it, in a thread."""

    def __init__(self, source: Source, opened: Callable[[Bundle], Model], versions: Gauge) -> None:
        self._source = source
        self._opened = opened
        self._versions = versions
        self._held: dict[Key, Held[Model]] = {}
        self._refused: dict[Key, tuple[Wanted, float, str]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Opens what is wanted now, and begins to follow what is wanted later."""
        await self._look()
        self._task = asyncio.get_running_loop().create_task(self._follow())
        self._task.add_done_callback(_end_process)

    async def close(self) -> None:
        """Ends that."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def find(self, environment: Environment, model: str, version: str | None = None) -> Held[Model]:
        """Returns what answers for `model` in `environment`; by `version`, if one is named.

        Raises:
            ModelUnknown: it is not held there, or not by that version.
            UpstreamNotReady: nothing answers there.
        """
        held = self._held.get((environment, model))
        if held is None:
            reason = self.reason(environment)
            if reason is not None:
                raise UpstreamNotReady(
                    f"No model version answers in {environment} yet.",
                    next_step="Promote one to it; /v1/models tells what answers where.",
                )
            raise ModelUnknown(
                f"The model is not served in {environment}.", next_step="GET /v1/models tells which ones are."
            )
        if version is not None and version != held.version:
            raise ModelUnknown(
                f"This version of the model is not served in {environment}.",
                next_step="Leave the version out of the path; GET /v1/models tells which one answers.",
            )
        return held

    def held(self, environment: Environment) -> list[Held[Model]]:
        """Returns what answers in an environment, by model."""
        return [self._held[key] for key in sorted(self._held) if key[0] is environment]

    def reason(self, environment: Environment) -> str | None:
        """Returns why nothing answers in an environment, for people; None if something does."""
        if any(key[0] is environment for key in self._held):
            return None
        told = [reason for key, (_, _, reason) in sorted(self._refused.items()) if key[0] is environment]
        return told[0] if told else f"No bundle is to answer in {environment} yet."

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        wanted = self._source.wanted()
        for key, each in wanted.items():
            held = self._held.get(key)
            refused = self._refused.get(key)
            if held is not None and held.wanted == each:
                self._refused.pop(key, None)
            elif refused is None or refused[0] != each or now >= refused[1]:
                await self._adopt(key, each)
        for key in self._held.keys() - wanted.keys():
            self._leave(key)
        for key in self._refused.keys() - wanted.keys():
            del self._refused[key]

    async def _adopt(self, key: Key, wanted: Wanted) -> None:
        try:
            held = await asyncio.to_thread(self._made, wanted)
        except SluiceError as exc:
            self._refuse(key, wanted, exc.message)
            return
        except OSError as exc:
            self._refuse(key, wanted, f"The bundle {wanted.folder} cannot be read: {exc.strerror}.")
            return
        if key in self._held:
            self._leave(key)
        self._held[key] = held
        self._refused.pop(key, None)
        self._versions.labels(*key, held.version).set(1)
        log.info("bundle_answers", environment=key[0], model=key[1], version=held.version)

    def _made(self, wanted: Wanted) -> Held[Model]:
        bundle = load(wanted.folder, digest=wanted.digest)
        if bundle.contract.workload != wanted.model:
            raise ModelUnknown(f"{wanted.folder} is a bundle of {bundle.contract.workload}.")
        return Held(wanted, wanted.version_of(bundle), bundle, self._opened(bundle))

    def _leave(self, key: Key) -> None:
        former = self._held.pop(key)
        self._versions.labels(*key, former.version).set(0)

    def _refuse(self, key: Key, wanted: Wanted, reason: str) -> None:
        refused = self._refused.get(key)
        if refused is None or (refused[0], refused[2]) != (wanted, reason):
            log.warning(
                "bundle_refused", environment=key[0], model=key[1], version=wanted.version, reason=reason
            )
        self._refused[key] = (wanted, asyncio.get_running_loop().time() + _AGAIN_SECONDS, reason)


def _end_process(task: "asyncio.Task[None]") -> None:
    """Ends a process whose bundles nobody keeps any more, cleanly: who started it starts it again."""
    if not task.cancelled() and task.exception() is not None:
        log.error("keeper_failed", exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)
