"""How a run looks to a person: one line for each step, with its time and its key figures.

On a terminal the step under way is shown with a clock and its last sentence; into a pipe or a log only whole
lines go.
"""

import contextlib
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from pipelines.journal import Event, Kind
from training.steps.step import ORDER

_WIDTH: Final = max(map(len, ORDER))
_LONGEST: Final = 16
_MOST: Final = 5
"""Figures of a step that fit on its line; the summary has all."""
_MARKS: Final = {Kind.DONE: "✓", Kind.REUSED: "=", Kind.FAILED: "✗"}


def line_of(event: Event) -> str:
    """Returns the line of a step that has ended."""
    told = "failed" if event.kind is Kind.FAILED else shown(dict(list(event.figures.items())[:_MOST]))
    if event.kind is Kind.REUSED:
        told = f"reused · {told}"
    return f"{_MARKS[event.kind]} {event.step:<{_WIDTH}}  {event.seconds:6.1f} s  {told}".rstrip()


def shown(figures: dict[str, Any]) -> str:
    """Returns figures as `name value`, separated by dots; long hashes are cut."""
    return " · ".join(f"{name} {_short(value)}" for name, value in figures.items())


def _short(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        text = str(value)
        return text if len(text) <= _LONGEST or " " in text else f"{text[:12]}…"
    return f"{value:,}"


class Display:
    """Shows the events of a run on standard error."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._step, self._told, self._started = "", "", time.monotonic()

    def __enter__(self) -> Self:
        """Begins to draw, if standard error is a terminal."""
        if self._console.is_terminal:
            self._live = Live(self, console=self._console, refresh_per_second=5, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _stack: TracebackType | None
    ) -> None:
        """Stops drawing; the lines stay."""
        if self._live is not None:
            self._live.stop()

    def __rich__(self) -> Spinner | Text:
        """Returns the line of the step under way."""
        if not self._step:
            return Text("")
        seconds = time.monotonic() - self._started
        return Spinner("dots", f"{self._step:<{_WIDTH}}  {seconds:6.1f} s  {self._told}")

    def __call__(self, event: Event) -> None:
        """Shows one event."""
        if event.kind is Kind.STARTED:
            self._step, self._told, self._started = event.step, "", time.monotonic()
        elif event.kind is Kind.TOLD:
            self._told = event.sentence
        else:
            self._step = ""
            self._console.print(Text(line_of(event)), soft_wrap=True)


@contextlib.contextmanager
def silent() -> Iterator[Any]:
    """Yields a display that shows nothing, for commands that print JSON."""
    yield lambda _event: None
