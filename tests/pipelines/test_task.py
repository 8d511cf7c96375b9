"""One task: how errors become words and exit codes, and what a person is shown."""

import errno
import io

import pytest
from rich.console import Console

from kit.errors import ExitCode, OperationalError, Refused
from pipelines.journal import Event, Failure, Follower, Journal, Kind
from pipelines.progress import Display, line_of
from pipelines.task import failure_of


def test_a_refusal_keeps_its_reasons_and_its_exit_code() -> None:
    """A gate that says no is no crash."""
    failure = failure_of(Refused("Not fit.", reasons=["too few"], next_step="Get more."), "validate")
    assert failure.exit_code == ExitCode.REFUSED
    assert (failure.message, failure.reasons, failure.next_step) == ("Not fit.", ("too few",), "Get more.")


def test_an_operational_error_says_its_sentence() -> None:
    """And the exit code of a failure."""
    failure = failure_of(OperationalError("The store is down.", next_step="Start it."), "search")
    assert (failure.exit_code, failure.message) == (ExitCode.FAILED, "The store is down.")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_with_the_way_to_go_on(number: int) -> None:
    """Whoever met it: our code, a library, the system."""
    failure = failure_of(OSError(number, "No space left on device"), "export")
    assert failure.code == "disk_full"
    assert "--from-step export" in str(failure.next_step)


def test_any_other_error_is_a_crash_with_its_type() -> None:
    """The stack is in the log of the step."""
    failure = failure_of(ValueError("seven"), "fit")
    assert (failure.code, failure.message) == ("step_crashed", "ValueError: seven")
    assert failure.exit_code == ExitCode.FAILED


def test_events_are_read_as_they_come_and_never_by_halves(tmp_path: object) -> None:
    """A line that is being written is left for the next look."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    journal, follower = Journal(folder), Follower(folder)
    assert list(follower.new()) == []
    journal.write(Event(step="fit", kind=Kind.STARTED))
    journal.write(Event(step="fit", kind=Kind.DONE, seconds=1.5, figures={"rounds": 7}))
    assert [event.kind for event in follower.new()] == [Kind.STARTED, Kind.DONE]
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"step":"gate",')
    assert list(follower.new()) == []
    with (folder / "events.jsonl").open("a") as file:
        file.write('"kind":"started"}\n')
    assert [event.step for event in follower.new()] == ["gate"]


def test_a_step_is_one_line_with_its_time_and_key_figures() -> None:
    """Numbers are readable, and hashes short."""
    line = line_of(
        Event(step="features", kind=Kind.DONE, seconds=12.34, figures={"rows": 6046, "data": "a" * 64})
    )
    assert line == "✓ features    12.3 s  rows 6,046 · data aaaaaaaaaaaa…"
    failed = Failure(code="x", title="X", message="No.", exit_code=1)
    assert (
        line_of(Event(step="gate", kind=Kind.FAILED, seconds=1, failure=failed))
        == "✗ gate         1.0 s  failed"
    )


def test_a_log_gets_whole_lines_only() -> None:
    """No half-drawn spinner in a file or a pipe."""
    written = io.StringIO()
    with Display(Console(file=written, width=80)) as display:
        display(Event(step="fit", kind=Kind.STARTED))
        display(Event(step="fit", kind=Kind.TOLD, sentence="round 3"))
        display(Event(step="fit", kind=Kind.REUSED, seconds=0.01, figures={"rounds": 7}))
    assert written.getvalue() == "= fit          0.0 s  reused · rounds 7\n"


def test_a_terminal_shows_the_step_under_way() -> None:
    """With what it last told; it is gone in the end."""
    written = io.StringIO()
    display = Display(Console(file=written, width=80, force_terminal=True, color_system=None))
    with display:
        display(Event(step="search", kind=Kind.STARTED))
        display(Event(step="search", kind=Kind.TOLD, sentence="trial 3 of 20"))
        shown = Console(file=io.StringIO(), width=80)
        shown.print(display)
        assert isinstance(shown.file, io.StringIO)
        assert "search" in shown.file.getvalue()
        assert "trial 3 of 20" in shown.file.getvalue()
