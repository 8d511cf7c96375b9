"""How long to wait, and when to give up: pure, at every edge."""

from datetime import timedelta

import pytest

from monitoring.delivery.retries import (
    LEAST_ATTEMPTS,
    LONGEST_ASKED_WAIT,
    LONGEST_WAIT,
    Failed,
    asked_wait,
    bound,
    is_lasting,
    next_attempt,
)
from tests.records.rows import NOON

DAY = timedelta(days=1)
FAILED = Failed(why="HTTP 500", lasting=False)


def seconds(number: float) -> timedelta:
    """Returns so many seconds."""
    return timedelta(seconds=number)


def test_waits_double_up_to_their_bound() -> None:
    """After ten seconds, twenty, forty; never more than ten minutes, however many attempts."""
    assert [bound(number) for number in (1, 2, 3, 6)] == [seconds(10), seconds(20), seconds(40), seconds(320)]
    assert {bound(number) for number in (7, 100, 10**9)} == {LONGEST_WAIT}


@pytest.mark.parametrize(("draw", "waited"), [(0.0, 0), (0.5, 20), (1.0, 40)])
def test_jitter_is_full(draw: float, waited: float) -> None:
    """Anything between nothing and the bound."""
    found = next_attempt(FAILED, attempts=3, age=seconds(0), give_up=DAY, draw=draw)
    assert found == seconds(waited)


def test_a_message_is_given_up_when_it_is_old_and_was_tried() -> None:
    """One that lay for days while no sender ran, or that a person sent again, has its attempts first."""

    def waits(attempts: int, age: timedelta) -> bool:
        return next_attempt(FAILED, attempts=attempts, age=age, give_up=DAY, draw=0.5) is not None

    assert waits(LEAST_ATTEMPTS - 1, 10 * DAY)
    assert not waits(LEAST_ATTEMPTS, DAY)
    assert waits(1000, DAY - seconds(1))
    assert not waits(1000, DAY)


def test_what_lasts_is_given_up_at_once() -> None:
    """Another attempt would end as this one."""
    failed = Failed(why="HTTP 404", lasting=True, retry_after=seconds(1))
    assert next_attempt(failed, attempts=1, age=seconds(0), give_up=DAY, draw=0.5) is None


def test_the_wait_that_is_asked_for_is_kept_within_bounds() -> None:
    """Instead of chance; and no longer than an hour."""
    for asked, waited in ((0, 0), (7, 7), (3600, 3600), (10**6, 3600)):
        failed = Failed(why="HTTP 429", lasting=False, retry_after=seconds(asked))
        assert next_attempt(failed, attempts=9, age=seconds(0), give_up=DAY, draw=0.5) == seconds(waited)


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("7", seconds(7)),
        (" 0 ", seconds(0)),
        ("99999999999999999999", LONGEST_ASKED_WAIT),
        ("Sun, 01 Mar 2026 12:01:30 GMT", seconds(90)),
        ("Sun, 01 Mar 2026 12:01:30", seconds(90)),
        ("Sun, 01 Mar 2026 11:00:00 GMT", seconds(0)),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("Sun, 99 Mar 2026 12:01:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, waited: timedelta | None) -> None:
    """What makes no sense is as if it were not there."""
    assert asked_wait(header, NOON) == waited


def test_a_date_at_the_end_of_time_is_one() -> None:
    """With the zone that takes it furthest."""
    found = asked_wait("Fri, 31 Dec 9999 23:59:59 -2359", NOON)
    assert found is not None
    assert found > 1000 * DAY


@pytest.mark.parametrize(
    ("statuses", "lasting"),
    [
        ((301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 413, 422, 451), True),
        ((408, 425, 429, 500, 501, 502, 503, 504, 599), False),
    ],
)
def test_which_answers_last(statuses: tuple[int, ...], lasting: bool) -> None:
    """A redirect and a refusal do; load and our neighbour's faults do not."""
    assert {is_lasting(status) for status in statuses} == {lasting}
