"""Moves under traffic: what clients saw while a model went from one version to another and back.

The moves are made by a process of their own, as a command would make them; the requests come from this one at
a fixed rate. A version is current from the moment when a switch to it begins until the next switch is done:
in between either of the two may answer.
"""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from contracts.environments import Environment
from kit.home import Home
from serving import load
from serving.load import Answer
from serving.promotion.journal import Move, Step
from serving.promotion.promotion import Request, promote, rollback
from serving.promotion.tools import opened

_CHUNK_SECONDS: Final = 1.0
_OK: Final = 200


class Switch(NamedTuple):
    """One switch, in seconds of `time.perf_counter()`."""

    version: str
    begun: float
    done: float


class Plan(NamedTuple):
    """Which moves are made, and over how many seconds they are spread."""

    root: Path
    """SLUICE_HOME of what serves."""
    model: str
    environment: Environment
    version: str
    """The version that is promoted, and rolled back from."""
    rounds: int
    seconds: float


class Seen(NamedTuple):
    """What clients saw."""

    answers: list[Answer]
    switches: list[Switch]

    @property
    def failed(self) -> list[Answer]:
        """Requests that were not answered, or with an error."""
        return [answer for answer in self.answers if answer.status != _OK]

    def foreign(self, first: str) -> list[Answer]:
        """Returns the answers of a version that was not current; `first` was so at the beginning."""
        spans = [(first, 0.0)] + [(switch.version, switch.begun) for switch in self.switches]
        ends = [switch.done for switch in self.switches] + [float("inf")]
        current = [(version, begin, end) for (version, begin), end in zip(spans, ends, strict=True)]
        return [
            answer
            for answer in self.answers
            if answer.status == _OK
            and not any(
                answer.version == version and answer.begun <= end and answer.begun + answer.seconds >= begin
                for version, begin, end in current
            )
        ]


async def watched(host: str, requests: Sequence[bytes], plan: Plan, *, rate: float) -> Seen:
    """Returns what clients of `host` saw at `rate` requests a second, until the moves of `plan` are made.

    It lasts `plan.seconds` at least. Raises what a move raises.
    """
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        moves = loop.run_in_executor(pool, _moved, plan)
        begun, answers = time.perf_counter(), []
        while not moves.done() or time.perf_counter() - begun < plan.seconds:
            answers += await load.open_loop(host, requests, rate=rate, seconds=_CHUNK_SECONDS)
        return Seen(answers, await moves)


def _moved(plan: Plan) -> list[Switch]:
    """Makes the moves; the main function of their process."""
    os.environ["SLUICE_HOME"] = str(plan.root)
    tools = opened(Home(plan.root))
    begun: list[float] = []
    switches: list[Switch] = []

    def told(move: Move, done: bool) -> None:
        if move.step is Step.SWITCH and not done:
            begun.append(time.perf_counter())
        elif move.step is Step.SWITCH:
            switches.append(Switch(move.version, begun[-1], time.perf_counter()))

    start, moves = time.perf_counter(), 2 * plan.rounds
    for number in range(moves):
        time.sleep(max(0.0, start + (number + 0.5) * plan.seconds / moves - time.perf_counter()))
        request = Request(actor="bench", reason=f"Move {number + 1} under traffic.", told=told)
        if number % 2:
            rollback(tools, plan.model, plan.environment, None, request)
        else:
            promote(tools, plan.model, plan.environment, plan.version, request)
    return switches
