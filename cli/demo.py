"""`sluice demo`: the main job from nothing to the end, as the commands that a person would type."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import typer

from kit.errors import SluiceError
from kit.files import write_text
from kit.home import home
from kit.terminal import print_json, say


class DemoFailed(SluiceError):
    """A step of the demo did not succeed."""

    code = "demo_failed"
    title = "The demo stopped"


class Step(NamedTuple):
    """One command of the demo; `summary` is filled from its JSON answer."""

    arguments: tuple[str, ...]
    summary: str


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
)


def demo(as_json: bool = typer.Option(False, "--json", help="Print what was done as JSON.")) -> None:
    """Run the main job from nothing to the end, as the commands that a person would type.

    Each step is one `sluice` command, shown before it runs; what all of them answered is kept in
    SLUICE_HOME/demo.json. Running it again is safe: what is there is used.
    """
    answers = []
    for step in STEPS:
        say(f"$ sluice {' '.join(step.arguments)}")
        start = time.monotonic()
        answer = _run(step.arguments)
        seconds = time.monotonic() - start
        say(f"  {step.summary.format_map(answer)} ({seconds:.1f} s)")
        answers.append({"command": " ".join(step.arguments), "seconds": round(seconds, 2), "answer": answer})
    document = {"finished_at": datetime.now(UTC).isoformat(timespec="seconds"), "steps": answers}
    path = home().root / "demo.json"
    write_text(path, json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    if as_json:
        print_json(document)
    say(f"Done. What every step answered is in {path}.")


def _run(arguments: tuple[str, ...]) -> dict[str, Any]:
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
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
