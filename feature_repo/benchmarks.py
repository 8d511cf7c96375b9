"""What extraction costs: per message on one core, on all cores, and on messages made to be slow."""

import email
import email.policy
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

import pyarrow.parquet as pq

from contracts import corpus as column
from feature_repo.corpus_events import corpus_path
from feature_repo.hostile_mail import HOSTILE
from feature_repo.message import parse
from feature_repo.message_features import extract
from kit.benchmark import Figure, median_seconds
from kit.errors import UsageError
from kit.home import Home

_PEER: Final = "standard library email, policy.default, get_body().get_content()"
_CHUNK: Final = 200
_HOSTILE_BYTES: Final = 1 << 18
_MICRO: Final = 1e6
_MILLI: Final = 1e3


def extraction(home: Home, *, hostile_bytes: int = _HOSTILE_BYTES) -> list[Figure]:
    """Returns the figures of parsing and extraction over the corpus below `home`.

    The peer only finds and decodes one body: no links, no HTML to text, no features. Hostile messages have
    `hostile_bytes`, twice and four times as many.

    Raises:
        UsageError: there is no corpus yet.
    """
    if not corpus_path(home).exists():
        raise UsageError("There is no corpus to measure on.", next_step="Run `sluice data fetch` first.")
    messages = pq.read_table(corpus_path(home), columns=[column.RAW])[column.RAW].to_pylist()
    return [_per_message(messages), _all_cores(messages), *_hostile(hostile_bytes)]


def features_of(messages: Sequence[bytes]) -> int:
    """Extracts the features of `messages` and returns how many tokens they hold together."""
    return sum(extract(parse(raw)).text_statistics.token_count for raw in messages)


def _per_message(messages: list[bytes]) -> Figure:
    features_of(messages[:_CHUNK])
    ours, theirs = [], []
    failures = 0
    for raw in messages:
        start = time.perf_counter()
        extract(parse(raw))
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        failures += not _standard_library_reads(raw)
        theirs.append(time.perf_counter() - start)
    own, peer = statistics.median(ours), statistics.median(theirs)
    return Figure(
        name="extraction, one core, median",
        value=own * _MICRO,
        unit="µs/message",
        aim="< 350",
        peer=_PEER,
        ratio=own / peer,
        note=f"mean {statistics.mean(ours) * _MICRO:.0f} µs; peer {peer * _MICRO:.0f} µs, "
        f"and {failures} of {len(messages):,} messages make it raise",
    )


def _standard_library_reads(raw: bytes) -> bool:
    try:
        body = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html", "plain"))
        if body is not None:
            body.get_content()
    except (AttributeError, LookupError, ValueError, TypeError):  # what odd messages make it raise
        return False
    return True


def _all_cores(messages: list[bytes]) -> Figure:
    chunks = [messages[start : start + _CHUNK] for start in range(0, len(messages), _CHUNK)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    one = median_seconds(lambda: features_of(messages), repeats=1)
    # Workers are started afresh, and measured once they are warm.
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        every = median_seconds(lambda: sum(pool.map(features_of, chunks)), repeats=3)
    return Figure(
        name=f"extraction, {cores} cores",
        value=len(messages) / every,
        unit="messages/s",
        peer="one core",
        ratio=one / every,
        note=f"{len(messages) / one:,.0f} messages/s on one core",
    )


def _hostile(size: int) -> list[Figure]:
    growth, slowest = {}, {}
    for kind, made in HOSTILE.items():
        once = _best_seconds(made, size)
        growth[kind] = _best_seconds(made, 2 * size) / once
        slowest[kind] = _best_seconds(made, 4 * size)
    worst, slow = max(growth, key=growth.__getitem__), max(slowest, key=slowest.__getitem__)
    return [
        Figure(
            name="hostile input, time for twice the bytes",
            value=growth[worst],
            unit="times",
            aim="about 2",
            note=f"worst of {len(HOSTILE)} kinds: {worst}",
        ),
        Figure(
            name=f"hostile input of {4 * size / (1 << 20):g} MiB, slowest kind",
            value=slowest[slow] * _MILLI,
            unit="ms",
            note=slow,
        ),
    ]


def _best_seconds(made: Callable[[int], bytes], size: int) -> float:
    raw = made(size)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        extract(parse(raw))
        times.append(time.perf_counter() - start)
    return min(times)
