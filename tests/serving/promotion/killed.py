"""A promotion whose process kills itself at a step; imported once by the server that forks the victims."""

import os
import signal
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow  # noqa: F401 - so that no victim spends its seconds on the import

from contracts.environments import Environment
from kit.home import Home
from records import model_registry
from serving.deployers.deployer import SwitchFailed
from serving.promotion import Request, Tools, opened, promote
from serving.promotion.journal import Move, Step
from tests.serving.promotion.shop import IRIS, PaperDeployer


def promote_and_die(
    root: Path, version: str, step: Step, done: bool, paper: Path | None = None, *, returns: bool = False
) -> None:
    """Promotes `version` in staging and is killed when `step` begins, or when it is done.

    With `paper` the deployer is the one on paper there; with `returns` its switch fails.
    """
    os.environ["SLUICE_HOME"] = str(root)
    if paper is None:
        tools = opened(Home(root))
    else:
        fail: dict[str, Exception] = {f"switch {version}": SwitchFailed("It does not follow.")}
        deployer = PaperDeployer(paper, fail=fail if returns else {})
        tools = Tools(Home(root), model_registry.opened(Home(root)), deployer)

    def told(move: Move, is_done: bool) -> None:
        if (move.step, is_done) == (step, done):
            os.kill(os.getpid(), signal.SIGKILL)

    def ask(move: Move) -> None:
        told(move, False)

    promote(
        tools,
        IRIS,
        Environment.STAGING,
        version,
        Request(actor="victim", reason="Until it is killed.", ask=ask, told=told),
    )
