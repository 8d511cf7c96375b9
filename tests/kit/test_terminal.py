"""What a command shows: tables for people, JSON for scripts, progress only on a terminal."""

import json
import math

import pytest

from kit.terminal import bar, print_json, print_table, say, tracked


def test_json_is_one_document_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """A script can pipe it, whatever letters are in it."""
    print_json({"name": "Zoë", "values": [1, 2.5, None]})
    assert json.loads(capsys.readouterr().out) == {"name": "Zoë", "values": [1, 2.5, None]}


def test_json_never_holds_nan() -> None:
    """NaN is no JSON, so it is an error here and not at the reader's."""
    with pytest.raises(ValueError, match="JSON"):
        print_json({"value": math.nan})


def test_a_table_shows_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """Cells that are no strings are shown as their text."""
    print_table("Ponds", ("name", "depth"), [("north", 2.5), ("south", None)])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("Ponds", "north", "2.5", "south", "None"))


def test_progress_off_a_terminal_draws_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A log never holds a half-drawn bar, and the items come through untouched."""
    assert list(tracked(range(3), "Counting", 3)) == [0, 1, 2]
    with bar("Working") as advance:
        advance.total(2)
        advance()
    written = capsys.readouterr()
    assert (written.out, written.err) == ("", "")


def test_a_sentence_for_a_person_is_not_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """It never gets into a script's pipe, and its brackets are not taken for markup."""
    say("Done with [red]everything[/red].")
    written = capsys.readouterr()
    assert written.out == ""
    assert "[red]everything[/red]" in written.err
