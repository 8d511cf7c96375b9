"""A move and its preview, as a person reads them."""

from kit.terminal import print_table, say
from serving.promotion.flips import Comparison
from serving.promotion.journal import Move, Step
from serving.promotion.preview import Preview

_DOING = {
    Step.PREPARE: "Loading version {version} beside the one that serves",
    Step.VERIFY: "Asking version {version} for its contract and golden rows",
    Step.SWITCH: "Switching {environment} to version {version}",
    Step.RECORD: "Writing the move into the ledger",
    Step.POINT: "Pointing the alias {environment} at version {version}",
    Step.RETIRE: "Unloading what served before",
    Step.RETURN: "Going back: {failure}",
}


def print_preview(move: Move, found: Preview) -> None:
    """Prints which verdicts a move changes and what that costs."""
    if (compared := found.test_split) is not None and compared.rows:
        _print_comparison(move, found, compared)
    if found.recorded is not None:
        last = found.recorded
        rows = [(pair, count) for pair, count in last.flips.items()] or [("none", 0)]
        title = f"The last {last.predictions:,} predictions in {move.environment}: verdicts that change"
        print_table(title, ("verdict", "rows"), rows)
        say(last.note)
    for note in found.notes:
        say(note)


def tell_step(move: Move, done: bool) -> None:
    """Tells that a step begins, on standard error."""
    idle = move.step is Step.RETIRE and not (move.live and move.served)
    if not done and not idle and move.step in _DOING:
        say(
            _DOING[move.step].format(version=move.version, environment=move.environment, failure=move.failure)
        )


def _print_comparison(move: Move, found: Preview, compared: Comparison) -> None:
    title = (
        f"{move.model}: version {found.after} in the place of {found.before}: {compared.changed} verdicts "
        f"change on {compared.rows:,} test rows"
    )
    flips = [
        (f"{flip.before} → {flip.after}", flip.rows, flip.mended, flip.spoiled) for flip in compared.flips
    ]
    print_table(title, ("verdict", "rows", "now right", "now wrong"), flips or [("none", 0, 0, 0)])
    costs = []
    for errors in compared.errors:
        for name, before, after in (
            ("false positives", errors.false_positives_before, errors.false_positives_after),
            ("false negatives", errors.false_negatives_before, errors.false_negatives_after),
        ):
            costs.append((f"{errors.name}: {name}", before, after, f"{after - before:+d}"))
    print_table("What that costs", ("mistake", "before", "after", "change"), costs)
