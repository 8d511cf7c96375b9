"""Promote and roll back: who may move where, one move at a time, and what became of it.

Both end what a crash left behind before they begin. Neither asks anybody: a command passes `ask`, a pipeline
does not.
"""

import getpass
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contracts.environments import Environment
from kit.errors import CallerError, UsageError
from kit.files import Locked
from records.model_registry import ModelRegistry
from records.model_versions import ModelVersion, NotEligible, Standing, VersionMissing
from records.tables.model_deployments import Action
from records.tables.registry import NAME_LENGTH, REASON_LENGTH
from serving.promotion import ledger
from serving.promotion.journal import Journal, Move, journals, this_process
from serving.promotion.steps import MadeElsewhere, Run, recover
from serving.promotion.tools import Told, Tools, silent


class NotConfirmed(CallerError):
    """A person said no."""

    status = 409
    code = "not_confirmed"
    title = "Not confirmed"


def agreed(_move: Move) -> None:
    """Asks nobody."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who wants a move and why, and how it goes about it."""

    actor: str
    reason: str
    gate: Mapping[str, Any] | None = None
    """What the gate found, for the ledger; None takes what the registry says of the version."""
    ask: Callable[[Move], None] = agreed
    """Called with the move before anything changes; it raises to stop it."""
    told: Told = silent
    wait_seconds: float = 0
    """How long another move of this model and environment is waited for."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a promotion or a rollback did."""

    model: str
    environment: Environment
    action: Action
    version: str
    former: str | None
    moved: bool
    """False if the version served already, and nothing was to be done."""
    live: bool
    """True if requests moved; False if only the ledger and the alias did, because nothing serves here."""
    recovered: str | None
    """What was done first with a move that a crash had left behind."""
    warning: str | None
    sentence: str


def promote(tools: Tools, model: str, environment: Environment, which: str, request: Request) -> Outcome:
    """Makes version `which` (a number, or an environment that points at one) serve in `environment`.

    Raises:
        VersionMissing: there is no such version.
        NotEligible: the gate refused it, or has not spoken; with the reasons.
        Locked: another move of this model is under way in this environment.
        MadeElsewhere: a move broke off in another place of serving, and has to be ended there first.
        UsageError: the reason or the actor is blank or too long.
        CandidateNotReady: the version could not be loaded; nothing changed for callers.
        CandidateRefused: it answers wrongly; nothing changed for callers.
        MoveReturned: a step after the switch failed, and the former version answers again.
        MoveUnfinished: so did the way back; the next command goes on.
    """

    def wanted() -> ModelVersion:
        return found(tools.registry, model, which)

    return _move(tools, Journal(tools.home, model, environment), Action.PROMOTE, wanted, request)


def rollback(
    tools: Tools, model: str, environment: Environment, which: str | None, request: Request
) -> Outcome:
    """Makes the version serve again that served before, by the ledger; or `which`, if it is given.

    Raises as `promote` does, and:
        NothingBefore: the ledger knows of no version to go back to.
    """

    def wanted() -> ModelVersion:
        if which is not None:
            return found(tools.registry, model, which)
        now = tools.registry.pointed(model, environment)
        before = ledger.served_before(model, environment, now.version if now else None)
        return tools.registry.version(model, before)

    return _move(tools, Journal(tools.home, model, environment), Action.ROLLBACK, wanted, request)


def recover_all(tools: Tools, told: Told = silent) -> list[str]:
    """Ends every move that a crash left behind, and returns a sentence for each.

    One under way, and one of another place of serving, are left alone. Raises as `promote` does.
    """
    sentences = []
    for journal in journals(tools.home):
        try:
            with journal.held():
                sentence = recover(tools, journal, told)
        except (Locked, MadeElsewhere):
            continue
        if sentence is not None:
            sentences.append(sentence)
    return sentences


def actor() -> str:
    """Returns who runs this process: the name of the user, and the machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = f"user {os.getuid()}"
    return f"{name}@{os.uname().nodename}"[:NAME_LENGTH]


def found(registry: ModelRegistry, model: str, which: str) -> ModelVersion:
    """Returns the version that `which` means: a number, or an environment that points at one.

    Raises:
        UsageError: it is neither.
        VersionMissing: there is no such version.
    """
    if which not in set(Environment):
        if not (which.isascii() and which.isdigit()):
            raise UsageError(
                f"{which[:50]!r} is no version: give a number, or one of {', '.join(Environment)}.",
                next_step="See what there is: sluice model list",
            )
        return registry.version(model, which)
    pointed = registry.pointed(model, Environment(which))
    if pointed is None:
        raise VersionMissing(
            f"Nothing of {model} is in {which} yet.", next_step="See what there is: sluice model list"
        )
    return pointed


def require_eligible(version: ModelVersion, environment: Environment) -> None:
    """Returns if the gate has accepted `version`.

    Raises:
        NotEligible: it refused it, or has not spoken; with the reasons.
    """
    if version.standing is Standing.ELIGIBLE:
        return
    told = "was refused by the gate" if version.standing is Standing.REFUSED else "was never judged"
    raise NotEligible(
        f"Version {version.version} of {version.name} {told}, so it cannot serve in {environment}.",
        reasons=version.reasons or ["No gate has accepted it."],
        next_step="Train a version that the gate accepts: sluice pipeline run",
    )


def _move(
    tools: Tools, journal: Journal, action: Action, wanted: Callable[[], ModelVersion], request: Request
) -> Outcome:
    _check(request)
    ledger.check()
    with journal.held(wait_seconds=request.wait_seconds):
        recovered = recover(tools, journal, request.told)
        version = wanted()
        require_eligible(version, journal.environment)
        move = _planned(tools, journal, action, version, request)
        if move.pointed == move.version and (move.served == move.version or not move.live):
            return _outcome(move, moved=False, recovered=recovered)
        journal.write(move)
        try:
            request.ask(move)
        except BaseException:
            journal.close()
            raise
        run = Run(tools, journal, move, request.told)
        run.carry_out()
        return _outcome(move, moved=True, recovered=recovered, warning=run.warning)


def _planned(tools: Tools, journal: Journal, action: Action, version: ModelVersion, request: Request) -> Move:
    model, environment = journal.model, journal.environment
    live = tools.deployer.running(environment)
    if live:
        tools.deployer.reachable()
    pointed = tools.registry.pointed(model, environment)
    gate = request.gate or {"verdict": version.standing.value, "reasons": list(version.reasons)}
    return Move(
        model=model,
        environment=environment,
        action=action,
        served=tools.deployer.current(model, environment) if live else None,
        pointed=pointed.version if pointed else None,
        version=version.version,
        actor=request.actor,
        reason=request.reason,
        gate=dict(gate),
        place=tools.deployer.place,
        live=live,
        process=this_process(),
        opened_at=datetime.now(UTC),
    )


def _check(request: Request) -> None:
    for name, value, most in (
        ("reason", request.reason, REASON_LENGTH),
        ("actor", request.actor, NAME_LENGTH),
    ):
        if not value.strip() or len(value) > most:
            raise UsageError(
                f"The {name} of a move has 1 to {most} characters and is not blank: it stays in the ledger.",
                next_step=f"Say it in a few words: --{name} …",
            )


def _outcome(move: Move, *, moved: bool, recovered: str | None, warning: str | None = None) -> Outcome:
    where = f"in {move.environment}"
    if not moved:
        sentence = f"Version {move.version} of {move.model} serves {where} already; nothing changed."
    elif move.live:
        after = f", after version {move.former}" if move.former else ""
        sentence = f"Version {move.version} of {move.model} serves {where}{after}."
    else:
        sentence = (
            f"The ledger and the alias say version {move.version} of {move.model} {where}. Nothing serves "
            "there on this machine: it will serve at the next sluice up."
        )
    return Outcome(
        model=move.model,
        environment=move.environment,
        action=move.action,
        version=move.version,
        former=move.former,
        moved=moved,
        live=move.live,
        recovered=recovered,
        warning=warning,
        sentence=sentence,
    )
