"""What a command shows a person, and what it prints for a script.

Results go to standard output: a table for people, or JSON with `--json`. Progress goes to standard error, and
only when that is a terminal, so that a pipe or a log never holds a half-drawn bar.
"""

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

Item = TypeVar("Item")


class Bar:
    """One running bar: call it with the number of units done since the last call."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def __call__(self, units: int = 1) -> None:
        """Moves the bar on by `units`."""
        self._progress.advance(self._task, units)

    def total(self, units: int) -> None:
        """Says how many units there are in all, once that is known."""
        self._progress.update(self._task, total=units)


@contextlib.contextmanager
def bar(description: str, total: int | None = None) -> Iterator[Bar]:
    """Yields a progress bar on standard error; it draws nothing unless that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield Bar(progress, progress.add_task(description, total=total))


def tracked(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yields `items` one by one under a progress bar."""
    with bar(description, total) as advance:
        for item in items:
            yield item
            advance()


def print_json(value: Any) -> None:
    """Prints `value` to standard output as one JSON document."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=str, allow_nan=False)
    sys.stdout.write("\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table to standard output; a cell that is not a string is shown as `str` gives it."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for position, column in enumerate(columns):
        # The first column holds names, which a reader wants to copy whole.
        table.add_column(column, overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)


def say(sentence: str) -> None:
    """Prints one sentence for a person to standard error."""
    Console(stderr=True, highlight=False).print(sentence, markup=False)
