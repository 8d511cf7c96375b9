"""The gateway as a client sees it: HTTP, a key, and the header that chooses the environment."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from typing import Any, Final, NamedTuple, Self

import httpx

from contracts.environments import HEADER, Environment
from contracts.gateway import PREDICT
from contracts.headers import API_KEY
from contracts.tensors import RAW

_SECONDS: Final = 60
_NONE: Final = 0
"""The status of a request that got no answer."""
_AT_ONCE: Final = 8
_PAUSE_SECONDS: Final = 0.01
"""Between two requests of one caller: what moves needs the processor too."""


class Answer(NamedTuple):
    """One answer, whatever it says."""

    status: int
    told: dict[str, Any]
    milliseconds: float


class Client:
    """Sends raw messages with one key; a context manager."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        # A proxy of the shell is for other places than this machine.
        self._http = httpx.Client(base_url=url, headers={API_KEY: key}, timeout=_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    def predict(self, raw: bytes, environment: str | None) -> Answer:
        """Asks about one message; `environment` goes into the header as it is, and None leaves it away."""
        heads = {"Content-Type": RAW} | ({} if environment is None else {HEADER: environment})
        started = time.perf_counter()
        answer = self._http.post(PREDICT, content=raw, headers=heads)
        return Answer(answer.status_code, answer.json(), (time.perf_counter() - started) * 1000)

    def all(self, raws: Sequence[bytes], environment: Environment) -> list[Answer]:
        """Asks about several messages, a few at a time, and returns the answers in their order."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda raw: self.predict(raw, environment.value), raws))

    @contextmanager
    def meanwhile(self, raws: Sequence[bytes], environment: Environment) -> Iterator[list[Answer]]:
        """Keeps asking one after another while the block runs; the list grows, no answer being one too."""
        answers: list[Answer] = []
        stop = threading.Event()

        def ask() -> None:
            for raw in cycle(raws):
                if stop.is_set():
                    return
                try:
                    answers.append(self.predict(raw, environment.value))
                except httpx.HTTPError:
                    answers.append(Answer(_NONE, {}, 0))
                stop.wait(_PAUSE_SECONDS)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield answers
        finally:
            stop.set()
            thread.join()
