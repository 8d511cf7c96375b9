"""Commands that fail, for the tests of how the entry point tells it."""

import typer

from kit.errors import OperationalError, Refused


def refuse(as_json: bool = typer.Option(False, "--json")) -> None:
    """Fail as a gate does."""
    raise Refused("Not fit.", reasons=["too few rows"], next_step="Get more.")


def fail(as_json: bool = typer.Option(False, "--json")) -> None:
    """Fail as a neighbour that is down does."""
    raise OperationalError("The store is down.", next_step="Start it.")
