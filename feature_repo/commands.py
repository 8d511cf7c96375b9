"""`sluice features`: register, fill and look into the sender features."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from kit import terminal
from kit.errors import UsageError

if TYPE_CHECKING:
    from feature_repo.online import Answer
    from feature_repo.store import SenderStore

features = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="What is known of senders: register it, fill it, look into it.\n\n"
    "Begin with `sluice features materialize`; it also registers.",
)

_AS_JSON = typer.Option(False, "--json", help="Print one JSON document instead of a table.")


@features.command()
def apply(as_json: bool = _AS_JSON) -> None:
    """Register entities, views and the feature service, and make the online tables.

    Doing it again changes nothing.

    Example: sluice features apply
    """
    from feature_repo.offline_files import SIDES
    from feature_repo.online_rows import view
    from feature_repo.store import apply as registered

    store = _store()
    registered(store)
    views = {view(store, side).name: [column.name for column in side.columns] for side in SIDES}
    if as_json:
        terminal.print_json(
            {
                "service": store.service.name,
                "entities": [side.entity for side in SIDES],
                "views": views,
                "online_store": store.settings.online_store,
            }
        )
        return
    terminal.print_table(
        f"Registered for {store.service.name}, online in {store.settings.online_store}",
        ("view", "entity", "numbers"),
        [(view(store, side).name, side.entity, ", ".join(views[view(store, side).name])) for side in SIDES],
    )


@features.command()
def materialize(
    until: str | None = typer.Option(
        None,
        metavar="TIME",
        help="Online state as of this time (ISO 8601, UTC unless it says otherwise); now.",
    ),
    as_json: bool = _AS_JSON,
) -> None:
    """Make the whole history from the corpus and from pushed events, and fill the online store.

    Run it on a schedule: labels become known 24 hours after their message, and this brings them online.

    Examples: sluice features materialize · sluice features materialize --until 2002-10-01
    """
    from feature_repo.materialization import materialize as materialized

    store = _store()
    with terminal.bar("Reading the corpus") as bar:
        done = materialized(store, _time(until), read=bar.total, progress=bar)
    if as_json:
        terminal.print_json(
            {
                "until": done.until.isoformat(),
                "corpus_messages": done.corpus_messages,
                "corpus_messages_without_event": done.corpus_messages_without_event,
                "messages": done.events.messages,
                "labelled_messages": done.events.labels,
                "offline_rows": done.offline_rows,
                "online_rows": done.online_rows,
                "online_store": store.settings.online_store,
            }
        )
        return
    terminal.print_table(
        f"Sender history until {done.until:%Y-%m-%d %H:%M:%S} UTC",
        ("entity", "rows offline", f"rows in {store.settings.online_store}"),
        [(entity, rows, done.online_rows[entity]) for entity, rows in done.offline_rows.items()],
    )
    terminal.say(
        f"{done.events.messages} messages, {done.events.labels} of them labelled. "
        f"Of {done.corpus_messages} in the corpus, {done.corpus_messages_without_event} "
        "name no sender or no date to believe."
    )
    if not done.events.messages:
        terminal.say("Next: `sluice data fetch` brings a corpus; then materialise again.")


@features.command()
def ingest(as_json: bool = _AS_JSON) -> None:
    """Take what the gateway recorded since the last run into the sender history, offline and online.

    Run it on a schedule, every few minutes: rows of the last minute wait for the next run. A run that is
    killed or fails half-way is ended by the next one, and each message and each label counts once.

    Example: sluice features ingest --json
    """
    from feature_repo.ingest import ingest as ingested

    store = _store()
    with terminal.bar("Reading predictions and feedback") as bar:
        done = ingested(store, progress=bar)
    if as_json:
        terminal.print_json(
            {
                "until": done.until.isoformat(),
                "predictions": done.predictions,
                "feedback": done.feedback,
                "without_event": done.without_event,
                "new_messages": done.events.messages,
                "new_labels": done.events.labels,
                "online_rows": done.online_rows,
                "online_store": store.settings.online_store,
            }
        )
        return
    terminal.print_table(
        f"Recorded before {done.until:%Y-%m-%d %H:%M:%S} UTC",
        ("what", "read", "new to the history"),
        [
            ("predictions", done.predictions, done.events.messages),
            ("feedback", done.feedback, done.events.labels),
        ],
    )
    terminal.say(
        f"{done.without_event} rows make no event: of another model, without a sender to believe, or of "
        f"another feature schema. {sum(done.online_rows.values())} rows written to "
        f"{store.settings.online_store}."
    )


@features.command()
def lookup(
    sender: str = typer.Argument(help="A From address."),
    at: str | None = typer.Option(
        None, metavar="TIME", help="Judge the age of history at this time (ISO 8601, UTC); now."
    ),
    as_json: bool = _AS_JSON,
) -> None:
    """Show the 8 numbers that the model would see for a sender, and where they come from.

    The online store holds the newest history only: --at judges its age and does not travel back in time. For
    that, materialise with --until first.

    Examples: sluice features lookup pudge@perl.org · sluice features lookup pudge@perl.org --at 2002-10-01
    """
    from prometheus_client import CollectorRegistry

    from contracts.features import SENDER_FEATURES
    from feature_repo.offline_files import SIDES
    from feature_repo.online import SenderLookup

    instant = _time(at)
    found = SenderLookup(_store(), CollectorRegistry()).found([sender], instant)
    answers = {side.entity: found.answers[side.entity][0] for side in SIDES}
    entity_of = {column.name: side.entity for side in SIDES for column in side.columns}
    numbers = dict(zip((f.name for f in SENDER_FEATURES), found.numbers[0].tolist(), strict=True))
    if as_json:
        terminal.print_json(
            {
                "sender": sender,
                "at": instant.isoformat(),
                "numbers": numbers,
                "entities": {entity: _facts(answer) for entity, answer in answers.items()},
            }
        )
        return
    terminal.print_table(
        f"{sender} at {instant:%Y-%m-%d %H:%M:%S} UTC",
        ("number", "value", "bounds", "history", "meaning"),
        [
            (
                feature.name,
                f"{numbers[feature.name]:g}",
                f"{feature.low:g} to {feature.high:g}",
                answers[entity_of[feature.name]].outcome,
                feature.sentence,
            )
            for feature in SENDER_FEATURES
        ],
    )
    for entity, answer in answers.items():
        terminal.say(_sentence(entity, answer))


@features.command()
def describe(as_json: bool = _AS_JSON) -> None:
    """List the 24 numbers of the model, and the state of the sender stores.

    Example: sluice features describe --json
    """
    from contracts.features import NUMERIC_FEATURES, SCHEMA_DIGEST
    from feature_repo.state import state

    now = state(_store())
    if as_json:
        terminal.print_json(
            {
                "schema_digest": SCHEMA_DIGEST,
                "features": [feature.model_dump(mode="json") for feature in NUMERIC_FEATURES],
                "stores": now._asdict(),
            }
        )
        return
    terminal.print_table(
        f"24 numbers, schema {SCHEMA_DIGEST[:12]}",
        ("number", "family", "kind", "bounds", "default", "meaning"),
        [
            (f.name, f.family, f.dtype, f"{f.low:g} to {f.high:g}", f"{f.default:g}", f.sentence)
            for f in NUMERIC_FEATURES
        ],
    )
    terminal.print_table("Sender stores", ("fact", "value"), now._asdict().items())


def _store() -> "SenderStore":
    from feature_repo.settings import FeatureRepoSettings
    from feature_repo.store import open_store
    from kit.home import home

    return open_store(home(), FeatureRepoSettings.load())


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(
            f"{text!r} is not a time.", next_step="Write it like 2002-10-01 or 2002-10-01T12:00:00+00:00."
        ) from exc
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _facts(answer: "Answer") -> dict[str, Any]:
    age = None if answer.age is None else answer.age.total_seconds()
    return {"outcome": answer.outcome.value, "age_seconds": age}


def _sentence(entity: str, answer: "Answer") -> str:
    words = entity.replace("_", " ")
    if answer.age is None:
        return f"The {words} is {answer.outcome}: its numbers are defaults."
    days = f"{answer.age.total_seconds() / 86_400:.1f} days"
    if answer.outcome == "found":
        return f"The {words} is known; the last change of its history is {days} old."
    return (
        f"The history of the {words} is {answer.outcome}: {days} old, more than "
        "FEATURE_REPO_HISTORY_MAX_AGE_DAYS. Its numbers are defaults."
    )
