"""`sluice demo`: the main job from nothing to the end, as the commands that a person would type."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from kit.errors import SluiceError
from kit.files import write_text
from kit.home import home
from kit.terminal import print_json, say

EXAMPLES: Final = Path(__file__).parent.parent / "docs" / "examples"


class DemoFailed(SluiceError):
    """A step of the demo did not succeed."""

    code = "demo_failed"
    title = "The demo stopped"


class Step(NamedTuple):
    """One command of the demo; `summary` is filled from its JSON answer, a list of it being `answers`."""

    arguments: tuple[str, ...]
    summary: str
    ended_by: tuple[str, ...] = ()
    """The command that ends what this one leaves running; it runs at the end, however the demo went."""


_ASKED: Final = (
    "{answers[0][verdict]} with probability {answers[0][probability]:.3f}, then {answers[1][verdict]} with "
    "{answers[1][probability]:.3f}, by version {answers[0][version]} in {answers[0][environment]}"
)
_EXAMPLES: Final = (str(EXAMPLES / "offer.eml"), str(EXAMPLES / "minutes.eml"))

STEPS: Final = (
    Step(("data", "fetch"), "{kept:,} messages kept, {quarantined:,} quarantined"),
    Step(("data", "validate"), "fit to train on"),
    Step(("data", "describe"), "described"),
    Step(("records", "upgrade"), "the memory is at revision {revision}"),
    Step(("features", "apply"), "definitions registered"),
    Step(("features", "materialize"), "sender history filled"),
    # The corpus ends in 2002, so that today every history is too old to count.
    Step(
        ("features", "lookup", "rssfeeds@spamassassin.taint.org", "--at", "2002-10-01"),
        "{numbers[sender_message_count]:.0f} earlier messages, spam ratio {numbers[sender_spam_ratio]:.3f}",
    ),
    Step(("pipeline", "run", "--trials", "4"), "version {version} is in staging"),
    Step(("up",), "what the aliases point at serves", ended_by=("down",)),
    Step(("predict", *_EXAMPLES), _ASKED),
    Step(
        (
            "model",
            "promote",
            "staging",
            "--to",
            "production",
            "--reason",
            "the first version",
            "--yes",
        ),
        "{sentence}",
    ),
    Step(("up",), "both environments serve"),
    Step(("predict", *_EXAMPLES, "--env", "production"), _ASKED),
)


def demo(as_json: bool = typer.Option(False, "--json", help="Print what was done as JSON.")) -> None:
    """Run the main job from nothing to the end, as the commands that a person would type.

    Each step is one `sluice` command, shown before it runs; what all of them answered is kept in
    SLUICE_HOME/demo.json. What it starts it ends. Running it again is safe: what is there is used.
    """
    document = carried_out(STEPS)
    if as_json:
        print_json(document)
    say(f"Done. What every step answered is in {home().root / 'demo.json'}.")


def carried_out(steps: Sequence[Step]) -> dict[str, Any]:
    """Runs `steps` in order, keeps what they answered in SLUICE_HOME/demo.json, and returns it.

    Raises:
        DemoFailed: a step left with an exit code other than 0; what earlier ones left running is ended.
    """
    answers: list[dict[str, Any]] = []
    endings: list[tuple[str, ...]] = []
    try:
        for step in steps:
            if step.ended_by:
                endings.append(step.ended_by)
            answers.append(_answered(step))
    finally:
        answers += [_answered(Step(ending, "ended")) for ending in reversed(endings)]
    document = {"finished_at": datetime.now(UTC).isoformat(timespec="seconds"), "steps": answers}
    write_text(home().root / "demo.json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    return document


def _answered(step: Step) -> dict[str, Any]:
    """Runs one step, tells of it, and returns what is kept."""
    say(f"$ sluice {' '.join(step.arguments)}")
    start = time.monotonic()
    answer = _run(step.arguments)
    seconds = time.monotonic() - start
    told = answer if isinstance(answer, dict) else {"answers": answer}
    say(f"  {step.summary.format_map(told)} ({seconds:.1f} s)")
    return {"command": " ".join(step.arguments), "seconds": round(seconds, 2), "answer": answer}


def _run(arguments: tuple[str, ...]) -> Any:
    """Runs one command in a process of its own, its progress shown, and returns its JSON answer."""
    code = "from cli.main import main; main()"
    done = subprocess.run(  # noqa: S603 - our own commands
        (sys.executable, "-c", code, *arguments, "--json"), stdout=subprocess.PIPE, check=False
    )
    if done.returncode != 0:
        raise DemoFailed(
            f"sluice {' '.join(arguments)} left with exit code {done.returncode}.\n"
            f"{done.stdout.decode(errors='replace')}".rstrip(),
            next_step="Mend what it names, then run the demo again: it goes on from what is there.",
        )
    return json.loads(done.stdout)
