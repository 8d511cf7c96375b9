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
    """One command of the demo.

    `arguments` are filled from the answer of the step before, `summary` from its own; a list is `answers`.
    """

    arguments: tuple[str, ...]
    summary: str
    ended_by: tuple[str, ...] = ()
    """The command that ends what this one leaves running; it runs at the end, however the demo went."""


_ASKED: Final = (
    "{answers[0][verdict]} with probability {answers[0][probability]:.3f}, then {answers[1][verdict]} with "
    "{answers[1][probability]:.3f}, by version {answers[0][version]} in {answers[0][environment]}"
)
_FEEDBACK: Final = ("feedback", "{answers[0][request_id]}", "spam")
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
    Step(_FEEDBACK, "what the first one really was: {outcome}"),
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
    Step(_FEEDBACK, "what the first one really was: {outcome}"),
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
            answers.append(_answered(step, answers[-1]["answer"] if answers else None))
            if step.arguments == ("up",):
                answers.append(_refused())
    finally:
        answers += [_answered(Step(ending, "ended"), None) for ending in reversed(endings)]
    document = {"finished_at": datetime.now(UTC).isoformat(timespec="seconds"), "steps": answers}
    write_text(home().root / "demo.json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    return document


def _answered(step: Step, before: Any) -> dict[str, Any]:
    """Runs one step, tells of it, and returns what is kept; `before` is the answer of the last one."""
    arguments = tuple(part.format_map(_named(before)) if "{" in part else part for part in step.arguments)
    say(f"$ sluice {' '.join(arguments)}")
    start = time.monotonic()
    answer = _run(arguments)
    seconds = time.monotonic() - start
    say(f"  {step.summary.format_map(_named(answer))} ({seconds:.1f} s)")
    return {"command": " ".join(arguments), "seconds": round(seconds, 2), "answer": answer}


def _named(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {"answers": answer}


def _refused() -> dict[str, Any]:
    """Asks the gateway for an environment that there is not, and returns what is kept of the refusal.

    Raises:
        DemoFailed: it was not refused.
    """
    import httpx

    from contracts.environments import HEADER
    from contracts.gateway import PREDICT, address_file, development_key_file
    from contracts.headers import API_KEY

    url = address_file(home().root).read_text(encoding="ascii").strip() + PREDICT
    key = development_key_file(home().root).read_text(encoding="ascii").strip()
    say(f"$ curl {url} -H '{HEADER}: nowhere'")
    heads = {API_KEY: key, HEADER: "nowhere", "Content-Type": "message/rfc822"}
    start = time.monotonic()
    answer = httpx.post(
        url, headers=heads, content=Path(_EXAMPLES[0]).read_bytes(), timeout=60, trust_env=False
    )
    seconds = time.monotonic() - start
    if answer.status_code != httpx.codes.BAD_REQUEST:
        raise DemoFailed(f"An environment that there is not was answered with {answer.status_code}.")
    document = answer.json()
    say(f"  refused: {document['detail']} ({seconds:.1f} s)")
    return {"command": f"curl {PREDICT}", "seconds": round(seconds, 2), "answer": document}


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
