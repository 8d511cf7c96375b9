"""Systems are measured in turn, round after round, so that what disturbs the machine disturbs all of them."""

import asyncio
import statistics
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from cli.comparison.processes import cpu_seconds, held_still
from cli.comparison.systems import Running
from kit.errors import OperationalError
from serving import load
from serving.load import Answer

CONNECTIONS: Final = (1, 16, 64)
OPEN_RATE: Final = 200
ROUNDS: Final = 3
SECONDS: Final = 1.5
OPEN_SECONDS: Final = 4.0
_WARM_SECONDS: Final = 0.5
_TOLERANCE: Final = 1e-6
_OK: Final = 200
OPEN: Final = "open"

Truth = Mapping[bool, Sequence[float]]
"""The probability of each e-mail, with and without its sender's history."""


class Sample(NamedTuple):
    """One run of one load: times in seconds."""

    per_second: float
    p50: float
    p99: float
    cpu: float
    """Processor seconds of the system for one request."""


@dataclass
class Measured:
    """What was seen of one system."""

    running: Running
    samples: dict[int | str, list[Sample]] = field(default_factory=dict)
    """By number of connections, or `open`."""
    answers: int = 0
    failures: int = 0
    """Answers that were no 200."""
    wrong: int = 0
    """Answers with another probability than the same e-mail has elsewhere."""
    unknown: int = 0
    """Of the wrong ones, those that are right for an unknown sender: the lookup took longer than it may."""
    memory: int = 0
    """Bytes, after the load."""
    front_memory: int = 0
    """Of the program that is asked."""
    remembered: int = 0
    """Predictions in its records when it had ended."""
    silent: bool = False
    """It stopped answering."""

    def median(self, load_name: int | str, figure: str) -> float:
        """Returns the median of a figure over the rounds."""
        return statistics.median(float(getattr(sample, figure)) for sample in self.samples[load_name])

    def spread(self, load_name: int | str, figure: str) -> tuple[float, float]:
        """Returns the least and the largest value over the rounds."""
        values = [getattr(sample, figure) for sample in self.samples[load_name]]
        return min(values), max(values)


def rounds(
    systems: Sequence[Running],
    emails: Sequence[bytes],
    truth: Truth,
    *,
    count: int = ROUNDS,
    seconds: float = SECONDS,
    open_seconds: float = OPEN_SECONDS,
) -> list[Measured]:
    """Returns what was seen of each system in `count` rounds."""
    found = [Measured(running) for running in systems]
    requests = {
        running.host: [running.system.request(running.host, email) for email in emails] for running in systems
    }
    for turn in range(count):
        # Each round begins with another one: nobody is always measured after the same neighbour.
        for measured in found[turn % len(found) :] + found[: turn % len(found)]:
            if measured.silent:
                continue
            with ExitStack() as still:
                for other in found:
                    if other is not measured and other.running.system.restless:
                        still.enter_context(held_still(other.running.front))
                try:
                    answers = _measured(measured, requests[measured.running.host], seconds, open_seconds)
                except ValueError:  # nothing was answered, which there is no summary of
                    measured.silent = True
                    continue
            checked(measured, answers, truth)
    return found


def checked(measured: Measured, answers: Sequence[Answer], truth: Truth) -> None:
    """Counts the answers, those that failed, and those that say something else than is expected."""
    system = measured.running.system
    said = [(answer.request, system.probability(answer.body)) for answer in answers if answer.status == _OK]
    wrong = [(email, found) for email, found in said if _differs(found, truth[system.senders][email])]
    measured.answers += len(answers)
    measured.failures += len(answers) - len(said)
    measured.wrong += len(wrong)
    if system.senders:
        measured.unknown += sum(not _differs(found, truth[False][email]) for email, found in wrong)


def _differs(found: float, expected: float) -> bool:
    return abs(found - expected) > _TOLERANCE


def every(measured: Measured, emails: Sequence[bytes], truth: Truth) -> None:
    """Asks for every e-mail once, and checks every answer."""
    checked(measured, _all(measured.running, emails), truth)


def probabilities(running: Running, emails: Sequence[bytes]) -> list[float]:
    """Returns what a system says of each e-mail.

    Raises:
        OperationalError: it does not answer to one.
    """
    said = {
        answer.request: running.system.probability(answer.body)
        for answer in _all(running, emails)
        if answer.status == _OK
    }
    if len(said) < len(emails):
        raise OperationalError(
            f"{running.system.name} answered only {len(said)} of {len(emails)} e-mails: there is no truth."
        )
    return [said[index] for index in range(len(emails))]


def _all(running: Running, emails: Sequence[bytes]) -> list[Answer]:
    requests = [running.system.request(running.host, email) for email in emails]
    return _run(load.closed_loop(running.host, requests, connections=16, keep_bodies=True))


def _measured(
    measured: Measured, requests: Sequence[bytes], seconds: float, open_seconds: float
) -> list[Answer]:
    """Returns all answers of one turn, after some that warm up and are not among the figures."""
    running = measured.running
    answers = _run(
        load.closed_loop(running.host, requests, connections=4, seconds=_WARM_SECONDS, keep_bodies=True)
    )
    for connections in CONNECTIONS:
        some = _sampled(
            measured,
            connections,
            load.closed_loop(
                running.host, requests, connections=connections, seconds=seconds, keep_bodies=True
            ),
        )
        answers += some
    if running.system.ours:
        answers += _sampled(
            measured,
            OPEN,
            load.open_loop(running.host, requests, rate=OPEN_RATE, seconds=open_seconds, keep_bodies=True),
        )
    return answers


def _sampled(measured: Measured, name: int | str, asking: Coroutine[Any, Any, list[Answer]]) -> list[Answer]:
    before = cpu_seconds(measured.running.pids)
    answers = _run(asking)
    used = cpu_seconds(measured.running.pids) - before
    seen = load.summary(answers)
    sample = Sample(seen.per_second, seen.p50, seen.p99, used / seen.answers)
    measured.samples.setdefault(name, []).append(sample)
    return answers


def _run(asking: Coroutine[Any, Any, list[Answer]]) -> list[Answer]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(asking)
    return uvloop.run(asking)
