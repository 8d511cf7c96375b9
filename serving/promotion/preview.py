"""The flip preview: which verdicts change when one version takes another's place, and what that costs.

Of the test split every version keeps its answers with the run that made it, by row. Compared are the rows
that both versions were tested on: a row that one of them learned from would flatter it. Nothing is estimated:
what cannot be known is said in words.
"""

import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from contracts.predictions import FILE, FOLDER
from kit.errors import CallerError, OperationalError
from records.model_versions import ModelVersion
from serving.promotion.flips import Answers, Comparison, compare, read_answers
from serving.promotion.journal import Move
from serving.promotion.recorded import Recorded, recorded
from serving.promotion.tools import Tools


class Preview(BaseModel):
    """What is known of a switch before it is made; `notes` say what is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: str | None
    after: str
    test_split: Comparison | None
    recorded: Recorded | None
    notes: tuple[str, ...]


def preview(tools: Tools, move: Move) -> Preview:
    """Returns the flip preview of a move; it never fails for want of files, but says what is missing."""
    before = move.former
    if before is None:
        return Preview(
            before=None,
            after=move.version,
            test_split=None,
            recorded=None,
            notes=("Nothing serves there yet, so there are no verdicts to compare with.",),
        )
    compared, last, notes = None, None, []
    try:
        compared = _on_the_test_split(tools, move.model, before, move.version)
        notes += _notes(compared)
    except (CallerError, OperationalError) as exc:
        notes.append(f"The verdicts on the test split cannot be compared: {exc.message}")
    try:
        bundles = [tools.bundle(move.model, version) for version in (before, move.version)]
        last = recorded(move.environment, bundles[0], bundles[1], before)
    except (CallerError, OperationalError) as exc:
        notes.append(f"The recorded predictions cannot be read: {exc.message}")
    else:
        if last is None:
            notes.append(f"No prediction of version {before} in {move.environment} is recorded yet.")
    return Preview(before=before, after=move.version, test_split=compared, recorded=last, notes=tuple(notes))


def _on_the_test_split(tools: Tools, model: str, before: str, after: str) -> Comparison:
    contracts = [tools.bundle(model, version).contract for version in (before, after)]
    answers = [_answers(tools, tools.registry.version(model, version)) for version in (before, after)]
    return compare(contracts, answers)


def _answers(tools: Tools, version: ModelVersion) -> Answers:
    contract = tools.bundle(version.name, version.version).contract
    with tempfile.TemporaryDirectory() as folder:
        kept = tools.registry.run_file(version.run_id, f"{FOLDER}/{FILE}", Path(folder))
        return read_answers(kept, contract)


def _notes(found: Comparison) -> list[str]:
    notes = []
    if not found.rows:
        notes.append("No row was in the test split of both versions, so nothing can be compared.")
    elif found.rows < max(found.rows_before, found.rows_after):
        notes.append(
            f"Only {found.rows:,} rows are in both test splits ({found.rows_before:,} and "
            f"{found.rows_after:,} rows): the others were learned from, or never seen, by one of the two."
        )
    if not found.same_data:
        notes.append("The two versions were made from different data.")
    return notes
