"""`sluice demo`: the main job from nothing to the end, told in plain steps, with every claim measured."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer

from contracts.gateway import development_key_file
from kit.files import write_text
from kit.home import home
from kit.terminal import print_json, say

DOCUMENT: Final = "demo.json"


def demo(
    keep: bool = typer.Option(False, "--keep", help="Leave everything running, and print where it is."),
    corpus: Path | None = typer.Option(
        None, "--corpus", metavar="PATH", help="Mail of your own, as `sluice data fetch --from` takes it."
    ),
    trials: int = typer.Option(
        2, "--trials", min=1, help="Points of the search space that each model tries."
    ),
    quick: bool = typer.Option(
        False, "--quick", help="Make the second version of the first model, instead of training another one."
    ),
    window: int = typer.Option(400, "--window", min=40, help="Messages of each drift window."),
    as_json: bool = typer.Option(False, "--json", help="Print what was measured as JSON."),
) -> None:
    """Show the whole platform on real e-mail: train, serve, ask, drift, alert, roll back.

    Two models are trained and served in staging and production; real e-mails go to both through the gateway;
    a drift is made and found, its alert arrives signed; production moves and moves back under requests. Each
    value is measured in this run and kept in SLUICE_HOME/demo.json; a promise that is not kept ends the demo
    with an error. What it starts it ends, unless `--keep` is given. Running it again is safe.

    Examples: `sluice demo --keep`, `sluice demo --quick`, `sluice demo --corpus ~/mail --trials 10`
    """
    from cli.demo.story import Size

    document = played(Size(trials=trials, quick=quick, window=window, source=corpus), keep=keep)
    if as_json:
        print_json(document)
    say(f"\nDone in {document['seconds']['all']:.0f} s. Every figure is in {home().root / DOCUMENT}.")


def played(size: Any, *, keep: bool = False) -> dict[str, Any]:
    """Plays the story, writes what it measured to SLUICE_HOME/demo.json, and returns it.

    Raises:
        DemoFailed: a step failed, or showed something else than it promises; what runs is ended.
    """
    from cli.demo import story
    from cli.demo.listening import listening
    from cli.demo.telling import Teller

    started = time.monotonic()
    with listening(story.SECRET) as listener:
        teller = Teller(story.variables(listener))
        ends: list[Callable[[], Any]] = []
        try:
            parts = _parts(teller, listener, size, ends)
            if keep:
                ends.clear()
                _told_where(teller)
        finally:
            for end in reversed(ends):
                end()
    whole = {
        **parts,
        "finished_at": datetime.now(UTC),
        "seconds": teller.seconds | {"all": round(time.monotonic() - started, 2)},
    }
    from cli.demo.document import DemoDocument

    document = DemoDocument(**whole)
    write_text(home().root / DOCUMENT, document.model_dump_json(indent=2, by_alias=True) + "\n")
    return document.model_dump(mode="json", by_alias=True)


def _parts(teller: Any, listener: Any, size: Any, ends: list[Callable[[], Any]]) -> dict[str, Any]:
    from cli.demo import story

    place = home()
    parts: dict[str, Any] = {}
    with teller.chapter("corpus", "1. Real e-mail"):
        parts["corpus"] = story.corpus(teller, size)
    with teller.chapter("first_model", "2. A first model, by the pipeline"):
        first = story.trained(teller, size, seed=0)
        parts["model"], parts["parity"] = story.figures(teller, first)
    if size.quick:
        with teller.chapter("second_model", "3. A second version: the same model, exported and judged anew"):
            second = story.trained(teller, size, seed=0, from_step="export")
    else:
        with teller.chapter("second_model", "3. A second one, on another split"):
            second = story.trained(teller, size, seed=1, seeds=(0, 1))
    with teller.chapter("serving", "4. One in production, one in staging"):
        ends.append(lambda: teller.sluice("down"))
        story.served(teller, first, second)
        client, narrow = story.keys(teller, place)
        status = teller.sluice("status")
    mails = story.mails_of(place, first, size)
    with client, narrow:
        with teller.chapter("asking", "5. Real e-mails, by header to each environment"):
            parts["predictions"] = story.predictions(teller, client, mails)
            parts["routing"] = story.routing(teller, client, narrow, mails[0])
            parts["oip_client"], parts["serving"] = story.open_inference(teller, client, mails[0], status)
            story.feedback(teller, client, mails[0])
        with teller.chapter("drift", "6. Drift: quiet where nothing changed, found where something did"):
            parts["drift"], families = story.drift(teller, place, client, mails)
        with teller.chapter("webhook", "7. The alert reaches who should know"):
            parts["webhook"] = story.webhook(teller, listener, families)
        with teller.chapter("rollback", "8. Production moves, and moves back, under requests"):
            parts["rollback"] = story.rollback(teller, client, mails, first, second)
    with teller.chapter("history", "9. Sender history of today again"):
        teller.sluice("features", "materialize")
    return parts


def _told_where(teller: Any) -> None:
    status = teller.sluice("status")
    for process in status["processes"]:
        for use, address in process["addresses"].items():
            if use == "http":
                say(f"  {process['name']}: http://{address}")
    say(f"  pages of the gateway: {status['gateway']['docs']}")
    say(f"  the key: cat {development_key_file(home().root)}; to end it all: sluice down")
