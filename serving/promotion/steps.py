"""The steps of a move in their order, the way back, and the end of what a crash left behind.

prepare, verify, switch, record, point, retire: the journal is written before each. What fails before the
switch is undone; what fails after it leads back to the version that served. Each step may be repeated, so
whoever finds a journal goes on from the step it names.

Errors::

    OperationalError
    ├── MoveReturned     503  a step after the switch failed; the former version answers again
    ├── MoveUnfinished   503  a step failed, and so did the way back; the next command goes on with it
    └── MadeElsewhere    503  what broke off was made in another place of serving
"""

from datetime import UTC, datetime
from typing import Any, Final

import structlog

from kit.errors import OperationalError, SluiceError
from records.repositories.deployments import NewDeployment
from records.tables.model_deployments import Action
from records.tables.registry import REASON_LENGTH
from serving.promotion import ledger
from serving.promotion.journal import Journal, Move, Step
from serving.promotion.tools import Told, Tools, silent

log: Final = structlog.get_logger(__name__)


class MoveReturned(OperationalError):
    """A move failed after its switch, and was taken back."""

    code = "move_returned"
    title = "Taken back"


class MoveUnfinished(OperationalError):
    """A move failed, and could not be taken back yet."""

    code = "move_unfinished"
    title = "Unfinished"


class MadeElsewhere(OperationalError):
    """A move broke off in another place of serving than the one that the settings name."""

    code = "made_elsewhere"
    title = "Broke off elsewhere"


class Run:
    """One move on its way through the steps; hold the journal's lock."""

    def __init__(self, tools: Tools, journal: Journal, move: Move, told: Told = silent) -> None:
        self._deployer = tools.deployer
        self._tools = tools
        self._journal = journal
        self._told = told
        self.move = move
        self.warning: str | None = None
        """What is left to do after the move, if anything."""

    def carry_out(self) -> None:
        """Does every step.

        Raises:
            CandidateNotReady: the version could not be loaded; nothing changed for callers.
            CandidateRefused: it answers wrongly; nothing changed for callers.
            MoveReturned: a later step failed, and the former version answers again.
            MoveUnfinished: a later step failed, and the next command goes on.
        """
        if self._switches:
            self._prepare()
            self._begin(Step.SWITCH)
        self.end()

    def end(self) -> None:
        """Does the steps from the switch on; raises as `carry_out` does."""
        move = self.move
        try:
            if move.step is Step.SWITCH:
                self._deployer.switch(move.model, move.environment, move.version, self._bundle(move.version))
                self._done()
            if move.step is not Step.RETIRE:
                self._record()
                self._begin(Step.POINT)
                self._tools.registry.point(move.model, move.environment, move.version)
                self._done()
        except BaseException as exc:
            self._take_back(exc)
            raise
        self._retire()

    def undo(self) -> None:
        """Takes back a move that had not come to its switch."""
        if self._switches:
            self._deployer.abandon(self.move.model, self.move.environment, self.move.version)
        self._journal.close()

    def go_back(self) -> None:
        """Makes the former version serve again, and the ledger and the alias say so."""
        move = self.move
        if self._switches and move.served is not None:
            self._deployer.switch(move.model, move.environment, move.served, self._bundle(move.served))
        back = move.served or move.former
        if back is not None and self._is_recorded() and move.returned_at is not None:
            told = f"Taken back: {move.failure}"[:REASON_LENGTH]
            ledger.record_once(
                self._row(Action.ROLLBACK, move.version, back, reason=told, at=move.returned_at)
            )
        pointed = self._tools.registry.pointed(move.model, move.environment)
        if back is not None and pointed is not None and pointed.version == move.version != move.pointed:
            self._tools.registry.point(move.model, move.environment, move.pointed or back)
        self.undo()

    @property
    def _switches(self) -> bool:
        """Whether requests move from one version to another, and not only the ledger and the alias."""
        return self.move.live and self.move.served != self.move.version

    def _prepare(self) -> None:
        move = self.move
        try:
            bundle = self._bundle(move.version)
            self._begin(Step.PREPARE)
            self._deployer.prepare(move.model, move.environment, move.version, bundle)
            self._done()
            self._begin(Step.VERIFY)
            self._deployer.verify(move.model, move.environment, move.version, bundle)
            self._done()
        except BaseException:
            try:
                self.undo()
            except SluiceError as left:
                # The journal stays, and the next command undoes it: what failed first is the news.
                log.warning("candidate_left_behind", version=move.version, reason=left.message)
            raise

    def _record(self) -> None:
        if self.move.recorded_at is None:
            self.move = self.move.model_copy(update={"recorded_at": datetime.now(UTC)})
        self._begin(Step.RECORD)
        move = self.move
        assert move.recorded_at is not None  # noqa: S101 - set above
        row = self._row(move.action, move.former, move.version, reason=move.reason, at=move.recorded_at)
        ledger.record_once(row)
        self._done()

    def _retire(self) -> None:
        self._begin(Step.RETIRE)
        served = self.move.served
        try:
            if self._switches and served is not None:
                self._deployer.retire(self.move.model, self.move.environment, served)
        except SluiceError as exc:
            # The move stands: callers are served, ledger and alias say so. Only memory is not freed yet.
            log.warning("former_version_left_loaded", version=served, reason=exc.message)
            self.warning = (
                f"Version {served} is still loaded ({exc.message}) The next promotion, rollback or "
                "sluice up tries to unload it again."
            )
            return
        self._done()
        self._journal.close()

    def _take_back(self, failed: BaseException) -> None:
        """Goes back after `failed`; raises what tells the whole story, or returns where only it does."""
        reason = failed.message if isinstance(failed, SluiceError) else type(failed).__name__
        step = self.move.step
        try:
            if not self._can_go_back():
                if step is Step.SWITCH and not self._answers():
                    self.undo()
                    return
                raise self._unfinished(reason, step) from failed
            self.move = self.move.model_copy(
                update={
                    "step": Step.RETURN,
                    "failure": f"{step} failed. {reason}",
                    "returned_at": datetime.now(UTC),
                }
            )
            self._journal.write(self.move)
            self._told(self.move, False)
            self.go_back()
            self._done()
        except SluiceError as exc:
            if isinstance(exc, MoveUnfinished):
                raise
            log.warning("way_back_failed", reason=exc.message)
            raise self._unfinished(f"{reason} On the way back: {exc.message}", step) from failed
        if isinstance(failed, SluiceError):
            raise MoveReturned(
                f"{self.move.sentence} failed at the step {step}: {failed.message} {self._told_back()}",
                next_step=failed.next_step,
            ) from failed

    def _answers(self) -> bool:
        move = self.move
        return self._deployer.current(move.model, move.environment) == move.version

    def _can_go_back(self) -> bool:
        """Whether there is a version to go back to; without one the next command goes on forwards."""
        move = self.move
        if self._switches and move.served is None:
            return False
        return move.former is not None or not self._is_recorded()

    def _told_back(self) -> str:
        move = self.move
        if not self._switches:
            return "Nothing was serving, so callers saw nothing of it."
        return f"Version {move.served} answers again in {move.environment}."

    def _unfinished(self, reason: str, step: Step) -> MoveUnfinished:
        move = self.move
        return MoveUnfinished(
            f"{move.sentence} failed at the step {step}: {reason}",
            next_step="Mend the cause; the next sluice model promote or rollback, or sluice up, "
            f"goes on from {self._journal.path}.",
        )

    def _is_recorded(self) -> bool:
        move = self.move
        return move.recorded_at is not None and ledger.holds(
            move.model, move.environment, move.recorded_at, move.version
        )

    def _bundle(self, version: str) -> Any:
        return self._tools.bundle(self.move.model, version)

    def _row(
        self, action: Action, former: str | None, version: str, *, reason: str, at: datetime
    ) -> NewDeployment:
        move = self.move
        return NewDeployment(
            model_name=move.model,
            environment=move.environment,
            action=action,
            from_version=former,
            to_version=version,
            actor=move.actor,
            reason=reason,
            gate=move.gate,
            created_at=at,
        )

    def _begin(self, step: Step) -> None:
        self.move = self.move.model_copy(update={"step": step})
        self._journal.write(self.move)
        self._told(self.move, False)

    def _done(self) -> None:
        self._told(self.move, True)


def recover(tools: Tools, journal: Journal, told: Told = silent) -> str | None:
    """Ends what a crash left in `journal`, forwards or backwards; returns what was done, or None.

    Raises as `Run.carry_out` does, and:
        MadeElsewhere: it was made where these tools cannot reach.
    """
    move = journal.read()
    if move is None:
        return None
    if move.place != tools.deployer.place:
        raise MadeElsewhere(
            f"{move.sentence} broke off {move.place}, and this command works {tools.deployer.place}.",
            next_step="End it there: promote or roll back with that DEPLOYMENT_PLACE.",
        )
    serves = move.live and tools.deployer.running(move.environment)
    # A place that has stopped since holds nothing to load, to switch or to unload.
    run = Run(tools, journal, move.model_copy(update={"live": serves}), told)
    what = f"{move.sentence} (by {move.actor}) broke off at the step {move.step}"
    current = tools.deployer.current(move.model, move.environment) if serves else None
    if move.step is Step.RETURN:
        run.go_back()
        return f"{what}. It is taken back: {move.failure}"
    if move.step is Step.SWITCH and current != move.version:
        # Requests may be on their way over: only a switch back says that they are not.
        run.go_back()
        return f"{what}. It was undone: version {move.version} serves nobody."
    if move.step in {Step.OPENED, Step.PREPARE, Step.VERIFY}:
        run.undo()
        return f"{what}. It was undone: version {move.version} had answered nobody."
    run.end()
    return f"{what}. It was finished: version {move.version} serves."
