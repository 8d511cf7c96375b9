"""A move is made whole or taken back, and ledger, alias and what serves tell the same."""

import sqlite3
import threading
from collections.abc import Callable

import pytest

from contracts.environments import Environment
from kit.errors import UsageError
from kit.files import Locked
from records.model_versions import NotEligible, VersionMissing
from records.tables.model_deployments import Action
from serving.deployers.deployer import CandidateNotReady, CandidateRefused, SwitchFailed
from serving.promotion import Request, Tools, promote, recover_all, rollback
from serving.promotion.journal import Journal, Move, Step
from serving.promotion.ledger import NothingBefore, history
from serving.promotion.promotion import NotConfirmed
from serving.promotion.steps import MadeElsewhere, MoveReturned, MoveUnfinished
from tests.serving.promotion.shop import DOWN, IRIS, PaperDeployer, pointed
from training import registry as training_registry

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")

STAGING = Environment.STAGING
REFUSED = "3"


def request(**how: object) -> Request:
    """Returns a request of a person who gives a reason."""
    return Request(**{"actor": "ada", "reason": "It is better."} | how)  # type: ignore[arg-type]


def moves() -> list[tuple[str, str | None, str]]:
    """Returns the ledger of iris in staging, oldest first."""
    return [(row.action, row.from_version, row.to_version) for row in reversed(history(IRIS, STAGING))]


def served(tools: Tools) -> tuple[str | None, set[str], str | None]:
    """Returns what answers, what is loaded, and what the alias says."""
    deployer = tools.deployer
    return (
        deployer.current(IRIS, STAGING),
        set(deployer.loaded(IRIS, STAGING)),
        pointed(tools.registry),
    )


@pytest.fixture
def serving_one(tools: Tools) -> Tools:
    """Version 1 serves in staging."""
    promote(tools, IRIS, STAGING, "1", request(reason="The first one."))
    return tools


def test_a_promotion_loads_verifies_switches_records_points_and_retires_in_this_order(
    serving_one: Tools, paper: PaperDeployer
) -> None:
    """The alias comes last but for the memory that the former version takes."""
    paper.calls.clear()
    steps: list[Step] = []

    def told(move: Move, done: bool) -> None:
        if done:
            steps.append(move.step)
            if move.step is Step.RECORD:
                assert pointed(serving_one.registry) == "1"

    outcome = promote(serving_one, IRIS, STAGING, "2", request(told=told))
    assert [*Step][1:-1] == steps
    assert [call for call in paper.calls if call != "reachable"] == [
        "prepare", "verify", "switch 2", "retire",
    ]  # fmt: skip
    assert served(serving_one) == ("2", {"2"}, "2")
    assert (outcome.moved, outcome.former, outcome.version, outcome.live) == (True, "1", "2", True)
    assert not Journal(serving_one.home, IRIS, STAGING).path.exists()


def test_the_ledger_says_who_why_and_what_the_gate_found(serving_one: Tools) -> None:
    """One row for one move, with the reasons of the gate."""
    promote(serving_one, IRIS, STAGING, "2", request(actor="grace", reason="Fewer mistakes."))
    row = history(IRIS, STAGING)[0]
    assert (row.action, row.from_version, row.to_version) == ("promote", "1", "2")
    assert (row.actor, row.reason) == ("grace", "Fewer mistakes.")
    assert row.gate == {"verdict": "eligible", "reasons": ["Good, number 2."]}
    assert len(history(IRIS, STAGING)) == 2


def test_an_environment_names_the_version_it_points_at(serving_one: Tools) -> None:
    """What was tried in staging goes to production by its name."""
    outcome = promote(serving_one, IRIS, Environment.PRODUCTION, "staging", request())
    assert outcome.version == "1"
    assert pointed(serving_one.registry, Environment.PRODUCTION) == "1"


@pytest.mark.parametrize(
    "which", ["", "0x1", "latest", "1; drop", "²", "-1", "1.0", pytest.param("x" * 10_000, id="long")]
)
def test_what_is_no_version_is_wrong_usage(tools: Tools, which: str) -> None:
    """Nothing is asked of the registry for it."""
    with pytest.raises(UsageError, match="is no version"):
        promote(tools, IRIS, STAGING, which, request())


@pytest.mark.parametrize("which", ["99", "production"])
def test_a_version_that_is_not_there_is_missing(tools: Tools, which: str) -> None:
    """By its number, or by an environment that points at none."""
    with pytest.raises(VersionMissing):
        promote(tools, IRIS, STAGING, which, request())


@pytest.mark.parametrize("reason", ["", "  \n", pytest.param("x" * 100_000, id="long")])
def test_a_blank_or_endless_reason_is_refused_before_anything_moves(
    tools: Tools, paper: PaperDeployer, reason: str
) -> None:
    """The ledger would refuse it after the switch."""
    with pytest.raises(UsageError, match="reason"):
        promote(tools, IRIS, STAGING, "1", request(reason=reason))
    assert paper.calls == []


def test_a_version_that_the_gate_refused_is_not_eligible(serving_one: Tools, paper: PaperDeployer) -> None:
    """The gate's own reasons are told, and nothing is loaded."""
    paper.calls.clear()
    with pytest.raises(NotEligible) as refused:
        promote(serving_one, IRIS, STAGING, REFUSED, request())
    assert refused.value.reasons == ("Its F1 is too low.",)
    assert paper.calls == []
    assert served(serving_one) == ("1", {"1"}, "1")


def test_promoting_what_serves_already_changes_nothing(serving_one: Tools) -> None:
    """No row, no step, and it is said."""
    outcome = promote(serving_one, IRIS, STAGING, "1", request())
    assert not outcome.moved
    assert "already" in outcome.sentence
    assert len(moves()) == 1


def test_a_person_who_says_no_changes_nothing(serving_one: Tools, paper: PaperDeployer) -> None:
    """The journal is gone as well."""
    paper.calls.clear()

    def ask(_move: Move) -> None:
        raise NotConfirmed("Nothing was changed.")

    with pytest.raises(NotConfirmed):
        promote(serving_one, IRIS, STAGING, "2", request(ask=ask))
    assert paper.calls == ["reachable"]
    assert not Journal(serving_one.home, IRIS, STAGING).path.exists()


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("prepare", CandidateNotReady("It does not load.")),
        ("verify", CandidateRefused("It answers wrongly.", reasons=["Row 3."])),
        ("verify", RuntimeError("a bug")),
    ],
)
def test_what_fails_before_the_switch_is_undone(
    serving_one: Tools, paper: PaperDeployer, step: str, error: Exception
) -> None:
    """Callers saw nothing; neither ledger nor alias moved; the candidate is unloaded."""
    paper.fail[step] = error
    with pytest.raises(type(error)):
        promote(serving_one, IRIS, STAGING, "2", request())
    assert served(serving_one) == ("1", {"1"}, "1")
    assert len(moves()) == 1
    assert not Journal(serving_one.home, IRIS, STAGING).path.exists()


def test_a_switch_that_fails_goes_back_to_the_former_version(
    serving_one: Tools, paper: PaperDeployer
) -> None:
    """The former version is told to answer again, whatever had become of the switch."""
    paper.calls.clear()
    paper.fail["switch 2"] = SwitchFailed("The transformer does not follow.")
    with pytest.raises(MoveReturned, match="Version 1 answers again"):
        promote(serving_one, IRIS, STAGING, "2", request())
    assert paper.calls[-2:] == ["switch 1", "abandon"]
    assert served(serving_one) == ("1", {"1"}, "1")
    assert len(moves()) == 1


def test_an_interrupt_after_the_switch_goes_back_too(serving_one: Tools, paper: PaperDeployer) -> None:
    """Ctrl-C is no way to leave half a move."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    paper.after["switch 2"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        promote(serving_one, IRIS, STAGING, "2", request())
    assert served(serving_one) == ("1", {"1"}, "1")


def test_an_alias_that_cannot_move_takes_the_move_back_and_the_ledger_says_so(
    serving_one: Tools, paper: PaperDeployer
) -> None:
    """The version answered for a moment: that is a row, and its end is another."""
    tracking = training_registry.opened(serving_one.home)

    def withdraw() -> None:
        tracking.judge(IRIS, "2", accepted=False, reasons=["Withdrawn."])

    paper.after["switch 2"] = withdraw
    with pytest.raises(MoveReturned, match="point"):
        promote(serving_one, IRIS, STAGING, "2", request())
    assert served(serving_one) == ("1", {"1"}, "1")
    assert moves() == [("promote", None, "1"), ("promote", "1", "2"), ("rollback", "2", "1")]
    assert "Taken back" in history(IRIS, STAGING)[0].reason


def test_a_ledger_that_fails_after_the_switch_leaves_what_the_next_command_ends(
    serving_one: Tools, paper: PaperDeployer
) -> None:
    """Requests are back on the former version at once; the rest waits for the database."""
    database = serving_one.home.records

    def rename(name: str, other: str) -> Callable[[], None]:
        def act() -> None:
            with sqlite3.connect(database) as connection:
                connection.execute(f"ALTER TABLE {name} RENAME TO {other}")
            connection.close()

        return act

    paper.after["switch 2"] = rename("model_deployments", "lost")
    with pytest.raises(MoveUnfinished, match="at the step record") as failed:
        promote(serving_one, IRIS, STAGING, "2", request())
    assert "the next" in str(failed.value.next_step).lower()
    assert paper.current(IRIS, STAGING) == "1"
    rename("lost", "model_deployments")()
    paper.after.clear()
    (sentence,) = recover_all(serving_one)
    assert "taken back" in sentence
    assert served(serving_one) == ("1", {"1"}, "1")
    assert len(moves()) == 1
    assert recover_all(serving_one) == []


def test_a_move_is_ended_only_where_it_was_made(serving_one: Tools, paper: PaperDeployer) -> None:
    """What a cluster was left with is nothing that this machine could load or unload."""
    paper.fail["retire"] = DOWN
    promote(serving_one, IRIS, STAGING, "2", request())
    paper.fail.clear()
    elsewhere = Tools(
        serving_one.home,
        serving_one.registry,
        PaperDeployer(paper.file.with_name("other"), place="elsewhere"),
    )
    assert recover_all(elsewhere) == []
    with pytest.raises(MadeElsewhere, match="broke off on paper, and this command works elsewhere"):
        promote(elsewhere, IRIS, STAGING, "1", request())
    (sentence,) = recover_all(serving_one)
    assert "finished" in sentence


def test_a_former_version_that_cannot_be_unloaded_does_not_undo_the_move(
    serving_one: Tools, paper: PaperDeployer
) -> None:
    """It is said, and the next command unloads it."""
    paper.fail["retire"] = DOWN
    outcome = promote(serving_one, IRIS, STAGING, "2", request())
    assert "still loaded" in str(outcome.warning)
    assert served(serving_one) == ("2", {"1", "2"}, "2")
    paper.fail.clear()
    after = promote(serving_one, IRIS, STAGING, "2", request())
    assert "finished" in str(after.recovered)
    assert served(serving_one) == ("2", {"2"}, "2")
    assert len(moves()) == 2


def test_the_first_version_that_cannot_be_recorded_is_finished_by_the_next_command(
    tools: Tools, paper: PaperDeployer
) -> None:
    """There is nothing to go back to, so the way leads forwards."""

    def break_the_ledger() -> None:
        with sqlite3.connect(tools.home.records) as connection:
            connection.execute("ALTER TABLE model_deployments RENAME TO lost")
        connection.close()

    paper.after["switch 1"] = break_the_ledger
    with pytest.raises(MoveUnfinished):
        promote(tools, IRIS, STAGING, "1", request())
    with sqlite3.connect(tools.home.records) as connection:
        connection.execute("ALTER TABLE lost RENAME TO model_deployments")
    connection.close()
    paper.after.clear()
    (sentence,) = recover_all(tools)
    assert "finished" in sentence
    assert served(tools) == ("1", {"1"}, "1")
    assert moves() == [("promote", None, "1")]


def test_without_serving_only_ledger_and_alias_move_and_it_is_said(
    tools: Tools, paper: PaperDeployer
) -> None:
    """The next `sluice up` serves it."""
    paper.serves = False
    outcome = promote(tools, IRIS, STAGING, "1", request())
    assert "next sluice up" in outcome.sentence
    assert paper.calls == []
    assert (moves(), pointed(tools.registry)) == ([("promote", None, "1")], "1")


def test_a_place_that_does_not_answer_is_found_before_anything_moves(
    serving_one: Tools, paper: PaperDeployer
) -> None:
    """Nothing is written for it."""
    paper.fail["reachable"] = DOWN
    with pytest.raises(type(DOWN)):
        promote(serving_one, IRIS, STAGING, "2", request())
    assert not Journal(serving_one.home, IRIS, STAGING).path.exists()


def test_a_rollback_goes_to_the_version_that_served_before(serving_one: Tools) -> None:
    """By the ledger, with a row of its own."""
    promote(serving_one, IRIS, STAGING, "2", request())
    outcome = rollback(serving_one, IRIS, STAGING, None, request(reason="Complaints."))
    assert (outcome.action, outcome.former, outcome.version) == (Action.ROLLBACK, "2", "1")
    assert served(serving_one) == ("1", {"1"}, "1")
    assert moves()[-1] == ("rollback", "2", "1")
    with pytest.raises(NothingBefore):
        rollback(serving_one, IRIS, STAGING, None, request())


def test_a_rollback_to_a_named_version_does_not_ask_the_ledger(serving_one: Tools) -> None:
    """`--version` is for whoever knows better."""
    outcome = rollback(serving_one, IRIS, STAGING, "2", request())
    assert (outcome.version, moves()[-1]) == ("2", ("rollback", "1", "2"))


def test_a_second_promotion_at_once_is_refused_and_told_who_is_at_it(serving_one: Tools) -> None:
    """One of two waits or is refused; the other environment is free."""
    asked, go_on = threading.Event(), threading.Event()

    def ask(_move: Move) -> None:
        asked.set()
        assert go_on.wait(60)

    failures: list[BaseException] = []

    def first() -> None:
        try:
            promote(serving_one, IRIS, STAGING, "2", request(actor="grace", ask=ask))
        except BaseException as exc:  # noqa: BLE001 - it is told below
            failures.append(exc)

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert asked.wait(60)
        with pytest.raises(Locked, match=r"by grace since .* at the step opened"):
            promote(serving_one, IRIS, STAGING, "2", request())
        assert recover_all(serving_one) == []
    finally:
        go_on.set()
        thread.join(60)
    assert failures == []
    assert served(serving_one) == ("2", {"2"}, "2")
    assert len(moves()) == 2


def test_a_second_promotion_that_waits_goes_after_the_first(serving_one: Tools) -> None:
    """It finds that the version serves already."""
    asked = threading.Event()
    outcomes = []

    def ask(_move: Move) -> None:
        asked.set()

    def first() -> None:
        outcomes.append(promote(serving_one, IRIS, STAGING, "2", request(ask=ask)))

    thread = threading.Thread(target=first)
    thread.start()
    assert asked.wait(60)
    outcomes.append(promote(serving_one, IRIS, STAGING, "2", request(wait_seconds=60)))
    thread.join(60)
    assert sorted(outcome.moved for outcome in outcomes) == [False, True]
    assert len(moves()) == 2


def test_a_version_that_is_loaded_again_has_not_moved(serving_one: Tools, paper: PaperDeployer) -> None:
    """The alias says it already, so the ledger does: it is only served again."""
    paper.file.unlink()
    outcome = promote(serving_one, IRIS, STAGING, "1", request())
    assert outcome.moved
    assert served(serving_one) == ("1", {"1"}, "1")
    assert len(moves()) == 1


def test_an_alias_that_another_hand_moved_is_followed_by_the_next_promotion(serving_one: Tools) -> None:
    """What answers is where the move begins."""
    serving_one.registry.point(IRIS, STAGING, "2")
    outcome = promote(serving_one, IRIS, STAGING, "2", request())
    assert outcome.moved
    assert served(serving_one) == ("2", {"2"}, "2")
    assert moves()[-1] == ("promote", "1", "2")


@pytest.mark.parametrize(
    "text", ["", "{}", "\x00\xff", '{"step": "switch"}', pytest.param("[" * 100_000, id="deep")]
)
def test_a_journal_of_another_hand_is_not_believed(serving_one: Tools, text: str) -> None:
    """It says which file, and what to do."""
    journal = Journal(serving_one.home, IRIS, STAGING)
    journal.path.write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match="not a journal") as refused:
        promote(serving_one, IRIS, STAGING, "2", request())
    assert str(journal.path) in str(refused.value)
