"""The story, chapter by chapter; each returns what it measured, and fails if a promise is not kept.

What is built is asked as its users ask it: commands in processes of their own, HTTP with a key, Triton's own
client. The demo's own are three things: which messages are sent, the shift that is made of some of them, and
the listener that the webhook comes to.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from cli.demo import document as told
from cli.demo.asking import Answer, Client
from cli.demo.held_out import Message, held_out, through_a_relay
from cli.demo.listening import Listener
from cli.demo.telling import Teller, joined
from contracts.environments import Environment
from contracts.gateway import PREDICTIONS, address_file
from contracts.workloads import DEFAULT as MODEL
from kit.home import Home
from kit.terminal import bar

HISTORY_YEARS: Final = 100
"""How long history counts in the demo: its corpus ended in 2002."""
SECRET: Final = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
CHANNEL: Final = "demo"
_FAMILY: Final = "header"
"""What the relay changes."""
_EACH: Final = 3
"""E-mails of each class that are asked about in each environment."""
_RECORDED_SECONDS: Final = 60
_WEBHOOK_SECONDS: Final = 60
_SAME: Final = 1e-6
_OK, _BAD_REQUEST, _FORBIDDEN = 200, 400, 403


class Size(NamedTuple):
    """How much the demo does."""

    trials: int = 2
    window: int = 400
    """Messages of each drift window."""
    quick: bool = False
    """The second version is the first model, exported and judged anew."""
    source: Path | None = None
    """A corpus of one's own; None for the public one."""


class Trained(NamedTuple):
    """A version, and the folder of the run that made it."""

    version: str
    folder: Path

    def output(self, step: str) -> Path:
        """Returns what a step of its run wrote."""
        return next(self.folder.glob(f"steps/*/{step}/output"))


def variables(listener: Listener) -> dict[str, str]:
    """Returns the settings that the commands of the story run with."""
    channel = {"name": CHANNEL, "format": "webhook", "url": listener.url, "secret": SECRET}
    return {
        "FEATURE_REPO_HISTORY_MAX_AGE_DAYS": str(HISTORY_YEARS * 365),
        "MONITORING_CHANNELS": json.dumps([channel]),
        "MONITORING_EGRESS_ALLOWED": json.dumps(["127.0.0.1/32"]),
        "MONITORING_DELIVERY_EVERY": "1s",
        # While old mail is replayed, nobody else may write features.
        "MONITORING_INGEST_EVERY": "1d",
        # A search of two points is no reason to fit each of them three times.
        "TRAINING_SEARCH_FOLDS": "0",
        # Two cores for everything: a lookup that waits for its turn is no lost store.
        "TRANSFORMER_SENDER_BUDGET_SECONDS": "2",
    }


def corpus(teller: Teller, size: Size) -> told.Corpus:
    """Brings the messages, and tells what they are."""
    teller.sluice("data", "fetch", *(("--from", str(size.source)) if size.source else ()))
    found = teller.sluice("data", "describe")
    teller.tell(
        f"{found['messages']:,} messages, {found['labels']['spam']:,} of them spam; "
        f"{found['duplicates']['copies']:,} are copies of others"
    )
    return told.Corpus(
        messages=found["messages"],
        spam=found["labels"]["spam"],
        duplicates=found["duplicates"]["copies"],
        fingerprint=found["fingerprint"],
    )


def trained(
    teller: Teller, size: Size, *, seed: int, seeds: Sequence[int] | None = None, from_step: str | None = None
) -> Trained:
    """Runs the pipeline: search, fit, evaluation, certificate, gate, registry, staging."""
    more = {} if seeds is None else {"TRAINING_EVALUATION_SEEDS": json.dumps(list(seeds))}
    again = () if from_step is None else ("--from-step", from_step)
    arguments = ("pipeline", "run", "--trials", str(size.trials), "--seed", str(seed))
    summary = teller.sluice(*arguments, *again, more=more)
    teller.tell(f"the gate accepted version {summary['version']}; it is in staging")
    return Trained(str(summary["version"]), Path(summary["links"]["folder"]))


def figures(teller: Teller, first: Trained) -> tuple[told.Model, told.Parity]:
    """Tells how good the first version is, and that its graph answers as the estimator does."""
    from cli.demo.parity import measured
    from training.steps.export import BUNDLE
    from training.steps.features import ROWS
    from training.steps.fit import MODEL as FITTED

    shown = teller.sluice("model", "show", first.version)
    evaluation = json.loads((first.output("evaluate") / "evaluation.json").read_text(encoding="utf-8"))
    means = evaluation["record"]["means"]
    model = told.Model(
        version=first.version,
        f1=means["f1"]["value"],
        f1_low=means["f1"]["low"],
        f1_high=means["f1"]["high"],
        roc_auc=means["roc_auc"]["value"],
        recall_at_1pct_fpr=means["recall_at_fpr_0.01"]["value"],
        time_split_f1=_by_time(evaluation),
        threshold=shown["data"]["threshold"],
        features=len(shown["features"]),
    )
    parity = measured(
        MODEL, first.output("features") / ROWS, first.output("fit") / FITTED, first.output("export") / BUNDLE
    )
    teller.expect(
        parity.label_mismatches == 0 and parity.max_abs_diff <= _SAME,
        "the exported graph answers as the estimator",
        f"{parity.label_mismatches} other labels, probabilities up to {parity.max_abs_diff:.1e} apart",
    )
    by_time = "" if model.time_split_f1 is None else f"; trained on the past only, {model.time_split_f1:.3f}"
    teller.tell(f"F1 {model.f1:.3f} ({model.f1_low:.3f} to {model.f1_high:.3f}){by_time}")
    teller.tell(f"the graph answers as the estimator on {parity.rows:,} rows, to {parity.max_abs_diff:.1e}")
    return model, parity


def served(teller: Teller, first: Trained, second: Trained) -> None:
    """Puts the first version into production beside the second in staging, and starts everything."""
    teller.sluice(
        "model", "promote", first.version, "--to", "production", "--reason", "the first one", "--yes"
    )
    up = teller.sluice("up")
    found = {each["environment"]: each["served"] for each in up["models"] if each["model"] == MODEL}
    wanted = {"staging": second.version, "production": first.version}
    teller.expect(found == wanted, f"{wanted} serve", found)
    teller.tell(f"version {second.version} answers in staging, version {first.version} in production")


def keys(teller: Teller, home: Home) -> tuple[Client, Client]:
    """Makes a key for both environments and one for staging alone, and returns a client with each."""
    url = address_file(home.root).read_text(encoding="ascii").strip()
    name = f"demo {secrets.token_hex(4)}"
    both = teller.sluice(
        "keys", "create", name, "--environment", "staging", "--environment", "production", "--expires", "1d"
    )
    narrow = teller.sluice("keys", "create", f"{name} narrow", "--environment", "staging", "--expires", "1d")
    return Client(url, both["key"]), Client(url, narrow["key"])


def predictions(teller: Teller, client: Client, mails: Sequence[Message]) -> list[told.Asked]:
    """Sends real e-mails to both environments by header."""
    chosen = [mail for label in ("spam", "ham") for mail in [m for m in mails if m.label == label][:_EACH]]
    asked = []
    for environment in Environment:
        for mail in chosen:
            answer = client.predict(mail.raw, environment.value)
            teller.expect(answer.status == _OK, "a real e-mail is answered", answer.told)
            teller.expect(
                answer.told["environment"] == environment.value,
                "the header decides",
                answer.told["environment"],
            )
            asked.append(
                told.Asked(
                    environment=environment,
                    version=answer.told["version"],
                    verdict=answer.told["verdict"],
                    probability=answer.told["probability"],
                    expected=mail.label,
                    latency_ms=round(answer.milliseconds, 2),
                )
            )
        mine = [each for each in asked if each.environment is environment]
        right = sum(each.verdict == each.expected for each in mine)
        teller.tell(f"{environment}: version {mine[0].version} is right on {right} of {len(mine)}")
    return asked


def routing(teller: Teller, client: Client, narrow: Client, mail: Message) -> told.Routing:
    """Asks for what there is not, for what was not named, and for what the key does not open."""
    unknown = client.predict(mail.raw, "nowhere")
    missing = client.predict(mail.raw, None)
    forbidden = narrow.predict(mail.raw, Environment.PRODUCTION.value)
    teller.expect(unknown.status == _BAD_REQUEST, "an unknown environment is refused", unknown.status)
    chosen = missing.told.get("environment")
    teller.expect(chosen == Environment.STAGING.value, "no header means staging", missing.told)
    teller.expect(forbidden.status == _FORBIDDEN, "a key without the scope is refused", forbidden.status)
    teller.tell(f"X-Environment: nowhere → {unknown.status} {unknown.told['detail']}")
    teller.tell(f"no X-Environment → {chosen}")
    teller.tell(f"a key for staging, in production → {forbidden.status} {forbidden.told['detail']}")
    return told.Routing(
        unknown_environment_status=unknown.status,
        missing_header_environment=chosen,
        wrong_scope_status=forbidden.status,
    )


def open_inference(
    teller: Teller, client: Client, mail: Message, status: dict[str, Any]
) -> tuple[told.OipClient, told.Serving]:
    """Asks /v2 with Triton's own client, and Triton itself what it is."""
    import numpy as np
    import tritonclient.http as triton

    from contracts.environments import HEADER
    from contracts.headers import API_KEY

    heads = {API_KEY: client.key, HEADER: Environment.PRODUCTION.value}
    raw = triton.InferInput("email", [1], "BYTES")
    raw.set_data_from_numpy(np.array([mail.raw], dtype=np.object_))
    with triton.InferenceServerClient(client.url.removeprefix("http://")) as unmodified:
        answer = unmodified.infer(MODEL, [raw], headers=heads)
    direct = client.predict(mail.raw, Environment.PRODUCTION.value).told["probability"]
    probability = float(answer.as_numpy("probability")[0])
    ok = abs(probability - direct) <= _SAME
    teller.expect(ok, f"tritonclient gets the same {direct} over /v2", probability)
    address = next(
        each["addresses"]["http"] for each in status["processes"] if each["name"] == "triton-production"
    )
    with triton.InferenceServerClient(address) as server:
        about = server.get_server_metadata()
    teller.tell(f"tritonclient is answered through the gateway by {about['name']} {about['version']}")
    return told.OipClient(ok=ok), told.Serving(runtime=about["name"], server_version=about["version"])


def feedback(teller: Teller, client: Client, mail: Message) -> None:
    """Tells the gateway what a message really was."""
    answer = client.predict(mail.raw, Environment.PRODUCTION.value)
    outcome = teller.sluice("feedback", answer.told["request_id"], mail.label)
    teller.tell(f"{outcome['outcome']}: it was {mail.label}")


def drift(
    teller: Teller, home: Home, client: Client, mails: Sequence[Message]
) -> tuple[told.Drift, list[str]]:
    """Measures a window of held-out messages, and one of the same messages after the shift."""
    teller.tell(f"{len(mails):,} held-out messages, as they came")
    _replayed(home, client, mails, "held-out messages")
    quiet = _measured(teller, len(mails))
    teller.expect(not quiet, "held-out messages raise no alarm", joined(quiet))
    teller.tell("quiet, as it should be")
    teller.tell("the same messages through a relay that hides recipients and tags subjects")
    _replayed(home, client, through_a_relay(mails), "shifted messages")
    families = _measured(teller, len(mails))
    teller.expect(_FAMILY in families, f"the shift is found in the family {_FAMILY}", joined(families))
    teller.tell(f"drift in: {joined(families)}")
    found = told.Drift(
        quiet=told.Quiet(alarm=bool(quiet), rows=len(mails)),
        shifted=told.Shifted(alarm=True, families=tuple(families), rows=len(mails)),
    )
    return found, families


def webhook(teller: Teller, listener: Listener, families: Sequence[str]) -> told.Webhook:
    """Waits for the alert at the listener, and checks its signature."""
    deadline = time.monotonic() + _WEBHOOK_SECONDS
    while time.monotonic() < deadline:
        received = listener.next(deadline - time.monotonic())
        if received is None:
            break
        teller.expect(received.valid, "a webhook is signed with the channel's secret", "another signature")
        event = received.event
        if event["kind"] == "data_drift" and event["family"] in families:
            teller.tell(f"signed and verified: {event['summary']}")
            for command in event["commands"]:
                teller.tell(f"  {command['purpose']}: {command['command']}")
            return told.Webhook(delivered=True, signature_valid=True, alert_key=event["key"])
    teller.expect(False, "the alert reaches the listener within a minute", "nothing")
    raise AssertionError  # expect has raised


def rollback(
    teller: Teller, client: Client, mails: Sequence[Message], first: Trained, second: Trained
) -> told.Rollback:
    """Moves production to the second version and back while requests come, and counts those that failed."""
    with client.meanwhile([mail.raw for mail in mails], Environment.PRODUCTION) as answers:
        teller.sluice(
            "model", "promote", second.version, "--to", "production", "--reason", "better in staging", "--yes"
        )
        teller.sluice("model", "rollback", "--in", "production", "--reason", "complaints", "--yes")
    now = client.predict(mails[0].raw, Environment.PRODUCTION.value)
    teller.expect(now.told.get("version") == first.version, "the former version is back", now.told)
    versions = {answer.told["version"] for answer in answers if answer.status == _OK}
    teller.expect(versions == {first.version, second.version}, "both versions answered", sorted(versions))
    failed = sum(answer.status != _OK for answer in answers)
    teller.expect(failed == 0, "no request fails while versions change", f"{failed} of {len(answers)}")
    teller.tell(f"{len(answers):,} requests while version {second.version} came and went; {failed} failed")
    return told.Rollback(
        source=second.version, to=first.version, requests=len(answers), failed_requests=failed
    )


def _by_time(evaluation: dict[str, Any]) -> float | None:
    ordered = evaluation["time_ordered"]
    if ordered is None:
        return None
    plain = next(each for each in ordered["corrections"] if each["name"] == "none")
    value: float | None = plain["figures"]["f1"]["value"]
    return value


def _replayed(home: Home, client: Client, mails: Sequence[Message], what: str) -> None:
    """Sends messages to production in the order of their time, with the senders' history of that time."""
    from feature_repo.replay import Arrival, replay
    from feature_repo.settings import FeatureRepoSettings
    from feature_repo.store import open_store

    store = open_store(home, FeatureRepoSettings.load(history_max_age_days=HISTORY_YEARS * 365))
    arrivals = [Arrival(mail.sender, mail.at) for mail in mails]
    answers: list[Answer] = []
    with bar(what, len(mails)) as advance:
        for group in replay(store, arrivals):
            answers += client.all([mails[number].raw for number in group], Environment.PRODUCTION)
            advance(len(group))
    _until(lambda: _recorded(client, answers[-1].told["request_id"]))


def _measured(teller: Teller, rows: int) -> list[str]:
    """Runs the drift job over the latest `rows` predictions, and returns the families that drifted."""
    found = teller.sluice(
        "drift", "run", "--environment", "production", "--workload", MODEL, "--rows", str(rows)
    )
    (result,) = found["results"]
    return [each["family"] for each in result["families"] if each["verdict"] == "drift"]


def _recorded(client: Client, request_id: str) -> bool:
    import httpx

    from contracts.headers import API_KEY

    answer = httpx.get(
        f"{client.url}{PREDICTIONS}/{request_id}", headers={API_KEY: client.key}, trust_env=False
    )
    return answer.status_code == _OK


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _RECORDED_SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)


def mails_of(home: Home, version: Trained, size: Size) -> list[Message]:
    """Returns messages that the version was neither fitted nor tuned on."""
    return held_out(home, version.output("features") / "rows", seed=0, most=size.window)
