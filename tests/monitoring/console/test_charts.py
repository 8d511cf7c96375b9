"""Charts: shapes on their plane, whatever the values; and values as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from monitoring.console import words
from monitoring.console.charts import HEIGHT, WIDTH, About, Level, Mark, barred, lined

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ABOUT = About("number", "title", "description", ("when", "what"), lambda value: f"{value:g}")


def marks(*values: float) -> list[Mark]:
    """A value each day."""
    return [Mark(NOON + timedelta(days=at), value, f"{value}") for at, value in enumerate(values)]


@pytest.mark.parametrize(
    "values",
    [(), (0,), (1,), (0, 0), (1, 1, 1), (-1, 2), (1e-12, 1e12), (0.5,) * 300, (float(2**62), 3.0)],
    ids=lambda values: f"{len(values)} values",
)
def test_everything_lies_on_the_plane(values: tuple[float, ...]) -> None:
    """No value, one, equal ones, tiny and huge ones."""
    for chart in (
        lined(ABOUT, marks(*values), level=Level(0.1, "floor")),
        lined(ABOUT, marks(*values), least=None),
        barred(ABOUT, marks(*(abs(value) for value in values))),
    ):
        places = [(dot.x, dot.y) for dot in chart.dots]
        places += [(bar.x + bar.width, bar.y + bar.height) for bar in chart.bars]
        places += [(0, tick.at) for tick in chart.y_ticks]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places), values
        assert len(chart.dots or chart.bars) == len(chart.marks) == len(values)
        assert bool(chart.line) == (len(values) > 1 and not chart.bars)
        assert len(chart.x_ticks) == min(len(values), 2)


def test_larger_is_higher_and_later_is_to_the_right() -> None:
    """And the level stands between what is below and above it."""
    chart = lined(ABOUT, marks(0.02, 0.3, 0.1), level=Level(0.08, "floor"))
    low, high, middle = chart.dots
    assert low.x < high.x < middle.x
    assert high.y < middle.y < low.y
    assert chart.level is not None
    assert middle.y < chart.level.at < low.y


def test_a_band_goes_there_and_back() -> None:
    """Around the values that have an interval."""
    spread = [mark._replace(low=mark.value - 0.1, high=mark.value + 0.1) for mark in marks(0.5, 0.6, 0.7)]
    chart = lined(ABOUT, [*spread, *marks(0.4)], most=1)
    points = [tuple(map(float, point.split(","))) for point in chart.band.split()]
    assert len(points) == 6
    assert [x for x, _ in points[:3]] == [x for x, _ in points[:2:-1]]
    assert all(above[1] < below[1] for above, below in zip(points[:3], points[:2:-1], strict=True))


@pytest.mark.parametrize(
    ("apart", "told"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=59.9), "59 s ago"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(days=59), "59 d ago"),
        (timedelta(days=61), "21 Sep 2026"),
        (-timedelta(hours=2), "in 2 h"),
    ],
)
def test_a_moment_is_told_as_seen_from_now(apart: timedelta, told: str) -> None:
    """By the largest unit; long ago, by its day."""
    assert words.ago(NOON - apart, NOON) == told


def test_values_are_short() -> None:
    """Times, figures, and what is none."""
    assert [words.seconds(each) for each in (0, 0.0004, 0.012, 1, 90)] == [
        "0",
        "0.4 ms",
        "12 ms",
        "1.0 s",
        "90.0 s",
    ]
    assert words.lasted(timedelta(minutes=4, seconds=8)) == "4 min 8 s"
    assert words.lasted(timedelta(0)) == "under 1 s"
    assert [words.figure(each) for each in (0.97971, 12, True, "x", None)] == [
        "0.9797",
        "12",
        "true",
        "x",
        "null",
    ]
    assert words.exact(NOON) == "21 Nov 2026, 12:00:00 UTC"
    assert words.instant("2026-11-21T12:00:00+00:00") == NOON
    assert [words.instant(each) for each in ("", "x", None, 3, "2026-11-21")] == [None] * 5
