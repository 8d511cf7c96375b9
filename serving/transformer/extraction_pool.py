"""Features of e-mails: small requests at once, large ones in other processes, side by side.

An e-mail of usual size takes a fraction of a millisecond, less than it costs to send it to another process
and to wait for the answer. A large or hostile one takes up to a second, in which the loop would serve nobody.
"""

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import structlog

from feature_repo.settings import FeatureRepoSettings
from kit.errors import OperationalError
from serving.extraction import (
    EmailRefused,
    Extracted,
    extract_element,
    extract_raw,
    extract_structured,
    structured,
)
from serving.transformer.settings import TransformerSettings

log = structlog.get_logger(__name__)

_LEAST_SHARE = 4


class ExtractionFailed(OperationalError):
    """The process that made the features died, twice."""

    code = "extraction_failed"
    title = "The e-mails could not be read"


class ExtractionPool:
    """Makes features; `close` it. Processes are started by `warm`, or when the first are needed."""

    def __init__(self, settings: TransformerSettings, limits: FeatureRepoSettings) -> None:
        self._settings = settings
        self._limits = limits
        self._pool = self._made()

    async def extracted(self, emails: Sequence[bytes], is_structured: bool | None) -> list[Extracted]:
        """Returns the features of `emails`, in order.

        Raises:
            EmailRefused: an element is to be structured, and is not; it is named by its place.
            ExtractionFailed: the work could not be done.
        """
        if sum(map(len, emails)) <= self._settings.inline_bytes:
            return extracted(emails, is_structured, self._limits)
        share = max(-(-len(emails) // self._settings.extraction_processes), _LEAST_SHARE)
        parts = await asyncio.gather(
            *(
                self._elsewhere(emails[at : at + share], is_structured, at)
                for at in range(0, len(emails), share)
            )
        )
        return [one for part in parts for one in part]

    def begin(self) -> None:
        """Starts the processes, which then import what they need; what comes meanwhile waits for them."""
        for _ in range(self._settings.extraction_processes):
            self._pool.submit(extracted, [b""], None, self._limits)

    def close(self) -> None:
        """Ends the processes; what they are at is lost."""
        _end(self._pool)

    async def _elsewhere(
        self, emails: Sequence[bytes], is_structured: bool | None, at: int
    ) -> list[Extracted]:
        loop = asyncio.get_running_loop()
        for _ in range(2):
            pool = self._pool
            try:
                return await loop.run_in_executor(pool, extracted, emails, is_structured, self._limits, at)
            except BrokenProcessPool:
                # Everybody's work is lost with a process that dies; who notices first starts another pool.
                if pool is self._pool:
                    log.warning("extraction_process_died")
                    self._pool = self._made()
                    pool.shutdown(wait=False)
        raise ExtractionFailed(
            "The process that read the e-mails died.", next_step="Try again, with fewer at once."
        )

    def _made(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._settings.extraction_processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_end_with_parent,
        )


def extracted(
    emails: Sequence[bytes], is_structured: bool | None, limits: FeatureRepoSettings, first: int = 0
) -> list[Extracted]:
    """Returns the features of `emails`; `first` is the place of the first one in its request.

    Raises:
        EmailRefused: an element is to be structured, and is not.
    """
    features = []
    for at, email in enumerate(emails, first):
        try:
            if is_structured is None:
                one = extract_element(email, limits)
            elif is_structured:
                one = extract_structured(structured(email, limits), limits)
            else:
                one = extract_raw(email, limits)
        except EmailRefused as exc:
            raise EmailRefused(f"Element {at}: {exc.message}") from None
        features.append(one)
    return features


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, however that went; an idle worker would never notice."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: "multiprocessing.process.BaseProcess") -> None:
    parent.join()
    os._exit(1)


def _end(pool: Executor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
