"""Small charts as shapes on a plane of 320 by 150, for a template to draw as SVG and to tell as a table.

Nothing here is text of SVG: numbers, and words that the template escapes.
"""

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

WIDTH: Final = 320
HEIGHT: Final = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 312, 12, 124
_HOURS: Final = timedelta(hours=25)


class Mark(NamedTuple):
    """One measured value."""

    at: datetime
    value: float
    told: str
    """The value in words, for a person who points at it and for the table."""
    kind: str = ""
    """How it is drawn: `quiet`, `small`, `drift`, `worse`."""
    low: float | None = None
    high: float | None = None
    """Its interval, if it has one."""


class Dot(NamedTuple):
    """A mark on the plane."""

    x: float
    y: float
    kind: str
    told: str


class Bar(NamedTuple):
    """A bar on the plane."""

    x: float
    y: float
    width: float
    height: float
    told: str


class Tick(NamedTuple):
    """A place on an axis, and what it is called."""

    at: float
    name: str
    anchor: str = "middle"
    """Which part of the name stands there: `start`, `middle` or `end`."""


class Level(NamedTuple):
    """A value that others are compared with, as a line across."""

    value: float
    name: str


class Chart(NamedTuple):
    """One chart; it is drawn from what is not empty."""

    number: str
    """Its name among the elements of the page."""
    title: str
    description: str
    columns: tuple[str, str]
    """The heads of the table."""
    marks: tuple[Mark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line: str = ""
    band: str = ""
    dots: tuple[Dot, ...] = ()
    bars: tuple[Bar, ...] = ()
    level: Tick | None = None


class About(NamedTuple):
    """What a chart is called and how its values are written."""

    number: str
    title: str
    description: str
    columns: tuple[str, str]
    written: Callable[[float], str]


def lined(
    about: About,
    marks: Sequence[Mark],
    *,
    level: Level | None = None,
    least: float | None = 0,
    most: float | None = None,
    floor: float = 0,
    between: tuple[datetime, datetime] | None = None,
) -> Chart:
    """Returns the marks as a line with a dot for each, over time, with `level` across.

    The scale runs from `least` to `most`; None leaves it to the values. It is at least `floor` high.
    The axis of time runs `between` two instants, or from the first mark to the last.
    """
    values = [each for mark in marks for each in (mark.value, mark.low, mark.high) if each is not None]
    values += [level.value] if level else []
    bottom = min(values, default=0) if least is None else least
    top = _rounded_up(max([*values, bottom + floor])) if most is None else most
    y = _scale(bottom, max(top, bottom + 1e-9), _BOTTOM, _TOP)
    ends = between or ((marks[0].at, marks[-1].at) if marks else None)
    x = _times(ends)
    places = [(x(mark.at), y(mark.value)) for mark in marks]
    spread = [mark for mark in marks if mark.low is not None and mark.high is not None]
    edges = [(x(mark.at), y(mark.high or 0)) for mark in spread]
    edges += [(x(mark.at), y(mark.low or 0)) for mark in reversed(spread)]
    return Chart(
        number=about.number,
        title=about.title,
        description=about.description,
        columns=about.columns,
        marks=tuple(marks),
        x_ticks=_ends(ends),
        y_ticks=tuple(Tick(y(value), about.written(value)) for value in (bottom, (bottom + top) / 2, top)),
        line=_points(places) if len(places) > 1 else "",
        band=_points(edges) if len(spread) > 1 else "",
        dots=tuple(Dot(at, up, mark.kind, mark.told) for (at, up), mark in zip(places, marks, strict=True)),
        level=Tick(y(level.value), level.name) if level else None,
    )


def barred(about: About, marks: Sequence[Mark]) -> Chart:
    """Returns the marks as bars side by side, each as wide as the others."""
    top = max(2, _rounded_up(max((mark.value for mark in marks), default=0)))
    y = _scale(0, top, _BOTTOM, _TOP)
    step = (_RIGHT - _LEFT) / max(1, len(marks))
    bars = [
        Bar(
            round(_LEFT + at * step + step * 0.1, 1),
            y(mark.value),
            round(step * 0.8, 1),
            round(_BOTTOM - y(mark.value), 1),
            mark.told,
        )
        for at, mark in enumerate(marks)
    ]
    return Chart(
        number=about.number,
        title=about.title,
        description=about.description,
        columns=about.columns,
        marks=tuple(marks),
        x_ticks=_ends((marks[0].at, marks[-1].at) if marks else None),
        y_ticks=tuple(Tick(y(value), about.written(value)) for value in (0, top / 2, top)),
        bars=tuple(bars),
    )


def _scale(low: float, high: float, at_low: float, at_high: float) -> Callable[[float], float]:
    def place(value: float) -> float:
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return round(at_low + share * (at_high - at_low), 1)

    return place


def _times(ends: tuple[datetime, datetime] | None) -> Callable[[datetime], float]:
    if ends is None or ends[0] == ends[1]:
        return lambda _at: (_LEFT + _RIGHT) / 2
    place = _scale(ends[0].timestamp(), ends[1].timestamp(), _LEFT + 6, _RIGHT - 6)
    return lambda at: place(at.timestamp())


def _ends(ends: tuple[datetime, datetime] | None) -> tuple[Tick, ...]:
    """Returns the first and the last time, at the ends of the axis; within a day and a bit, as hours."""
    if ends is None:
        return ()
    first, last = (f"{at:%H:%M}" if ends[1] - ends[0] < _HOURS else f"{at:%-d %b}" for at in ends)
    if ends[0] == ends[1]:
        return (Tick((_LEFT + _RIGHT) / 2, first),)
    return Tick(_LEFT, first, "start"), Tick(_RIGHT, last, "end")


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)


def _rounded_up(value: float) -> float:
    """Returns the next number above of one even digit, or 1 and zeros: half of it is short too."""
    if value <= 0:
        return 1
    size: float = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return next(step * size for step in (1, 2, 4, 6, 8, 10) if step * size >= value * (1 - 1e-9))
