"""Killed at any step, a promotion is ended by the next command: with real processes and a real Triton.

Triton is real where a step changes what it serves; the kills in between are of real processes too, on paper.
"""

import multiprocessing
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.environments import Environment
from kit.bundle import Bundle
from kit.home import Home
from records import model_registry
from serving.local import routing
from serving.local.stack import Stack
from serving.promotion import Request, Tools, opened, promote, recover_all
from serving.promotion.journal import Journal, Step
from serving.promotion.ledger import history
from serving.settings import ServingSettings
from tests.serving.promotion.killed import promote_and_die
from tests.serving.promotion.shop import IRIS, PaperDeployer, copied, made_home, pointed

pytestmark = [
    pytest.mark.xdist_group("promotion"),
    # MLflow's mapping of its tables, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]

STAGING = Environment.STAGING
UNDONE = [
    (Step.OPENED, False),
    *((step, done) for step in (Step.PREPARE, Step.VERIFY) for done in (False, True)),
    (Step.SWITCH, False),
]
FINISHED = [
    (Step.SWITCH, True),
    *((step, done) for step in (Step.RECORD, Step.POINT, Step.RETIRE) for done in (False, True)),
]
AT_TRITON = [
    (Step.PREPARE, True),  # both versions are loaded
    (Step.SWITCH, True),  # and the other one answers
    (Step.RETIRE, True),  # alone
]
"""The kills after which Triton, or who answers, is not as it was."""


@pytest.fixture(scope="module")
def victims() -> Any:
    """Where killed processes come from: a server that has imported everything once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.serving.promotion.killed"])
    return context


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, flowers_1: Bundle, flowers_2: Bundle, empty_registry: Path
) -> Iterator[Tools]:
    """Version 1 serves in staging, by a Triton of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("home")
        patch.setenv("SLUICE_HOME", str(root))
        patch.setenv("SERVING_DRAIN_SECONDS", "0.1")
        home = made_home(root, [flowers_1, flowers_2], empty_registry)
        stack = Stack(home, ServingSettings.load())
        stack.start()
        try:
            stack.triton(STAGING)
            tools = opened(home)
            promote(tools, IRIS, STAGING, "1", Request(actor="ada", reason="The first one."))
            yield tools
        finally:
            stack.stop()


@pytest.fixture(scope="module")
def paper_tools(
    tmp_path_factory: pytest.TempPathFactory, flowers_1: Bundle, flowers_2: Bundle, empty_registry: Path
) -> Tools:
    """The same without processes: version 1 serves on paper."""
    home = made_home(tmp_path_factory.mktemp("paper"), [flowers_1, flowers_2], empty_registry)
    tools = Tools(home, model_registry.opened(home), PaperDeployer(home.root / "paper.json"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(home.root))
        promote(tools, IRIS, STAGING, "1", Request(actor="ada", reason="The first one."))
    return tools


@pytest.fixture
def on_paper(paper_tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Serving on paper, in the home that this process works in."""
    monkeypatch.setenv("SLUICE_HOME", str(paper_tools.home.root))
    return paper_tools


def killed(victims: Any, *arguments: Any, **more: Any) -> None:
    """Runs a promotion that kills itself."""
    process = victims.Process(target=promote_and_die, args=arguments, kwargs=more)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def agreed_version(tools: Tools) -> str:
    """Returns the version that route, Triton, ledger and alias all name, and nothing else is left."""
    version = tools.deployer.current(IRIS, STAGING)
    assert version is not None
    if not isinstance(tools.deployer, PaperDeployer):
        route = routing.read(tools.home, STAGING, IRIS)
        assert route is not None
        assert route.version == version
    assert tools.deployer.loaded(IRIS, STAGING) == {version}
    assert pointed(tools.registry) == version
    assert history(IRIS, STAGING)[0].to_version == version
    assert not Journal(tools.home, IRIS, STAGING).path.exists()
    return version


@pytest.mark.parametrize(("step", "done"), AT_TRITON)
def test_the_next_command_ends_what_a_kill_broke_off(
    serving: Tools, victims: Any, step: Step, done: bool
) -> None:
    """Before the switch it is undone, after it finished; one row in the ledger for a move that was made.

    The kills that leave Triton or the route in another state than the one before; see the next test.
    """
    ends(serving, victims, step, done, None)


@pytest.mark.parametrize(("step", "done"), sorted({*UNDONE, *FINISHED} - set(AT_TRITON)))
def test_a_kill_between_steps_of_the_records_is_ended_as_well(
    on_paper: Tools, victims: Any, step: Step, done: bool
) -> None:
    """The other kills, where Triton is as after one of those above: real processes, serving on paper."""
    ends(on_paper, victims, step, done, on_paper.home.root / "paper.json")


def ends(tools: Tools, victims: Any, step: Step, done: bool, paper: Path | None) -> None:
    """Kills a promotion and holds what the next command makes of it against what it should."""
    before = agreed_version(tools)
    rows = len(history(IRIS, STAGING))
    wanted = "2" if before == "1" else "1"
    killed(victims, tools.home.root, wanted, step, done, paper)
    assert Journal(tools.home, IRIS, STAGING).path.exists()
    (sentence,) = recover_all(tools)
    if (step, done) in UNDONE:
        assert "undone" in sentence
        assert (agreed_version(tools), len(history(IRIS, STAGING))) == (before, rows)
    else:
        assert "finished" in sentence
        assert (agreed_version(tools), len(history(IRIS, STAGING))) == (wanted, rows + 1)
        assert history(IRIS, STAGING)[0].actor == "victim"


def test_the_next_promotion_ends_the_broken_one_first_and_says_so(serving: Tools, victims: Any) -> None:
    """Whoever comes next need not know that anything happened."""
    before = agreed_version(serving)
    rows = len(history(IRIS, STAGING))
    wanted = "2" if before == "1" else "1"
    killed(victims, serving.home.root, wanted, Step.RECORD, True)
    outcome = promote(serving, IRIS, STAGING, before, Request(actor="grace", reason="The other one."))
    assert f"version {wanted} serves" in str(outcome.recovered)
    assert (outcome.former, agreed_version(serving)) == (wanted, before)
    assert [row.actor for row in history(IRIS, STAGING)][:2] == ["grace", "victim"]
    assert len(history(IRIS, STAGING)) == rows + 2


@pytest.mark.parametrize("done", [False, True])
def test_a_way_back_that_is_killed_is_gone_to_its_end(
    serving: Tools, victims: Any, tmp_path: Path, done: bool
) -> None:
    """The switch had failed, and the process died on the way back."""
    paper = PaperDeployer(tmp_path / "paper.json")
    tools = Tools(serving.home, model_registry.opened(serving.home), paper)
    before = agreed_version(serving)
    rows = len(history(IRIS, STAGING))
    wanted = "2" if before == "1" else "1"
    paper.prepare(IRIS, STAGING, before, tools.bundle(IRIS, before))
    paper.switch(IRIS, STAGING, before, tools.bundle(IRIS, before))
    killed(victims, serving.home.root, wanted, Step.RETURN, done, tmp_path / "paper.json", returns=True)
    if not done:
        (sentence,) = recover_all(tools)
        assert "taken back" in sentence
    assert recover_all(tools) == []
    assert (paper.current(IRIS, STAGING), set(paper.loaded(IRIS, STAGING))) == (before, {before})
    assert (agreed_version(serving), len(history(IRIS, STAGING))) == (before, rows)


def test_a_machine_that_stopped_in_between_is_brought_to_what_ledger_and_alias_say(
    own_home: Home, victims: Any, tmp_path: Path
) -> None:
    """Nothing serves any more, so there is nothing to switch: the records alone are brought to rest."""
    paper = PaperDeployer(tmp_path / "paper.json")
    tools = Tools(own_home, model_registry.opened(own_home), paper)
    promote(tools, IRIS, STAGING, "1", Request(actor="ada", reason="The first one."))
    killed(victims, own_home.root, "2", Step.RETURN, False, tmp_path / "paper.json", returns=True)
    paper.serves = False
    (sentence,) = recover_all(tools)
    assert "taken back" in sentence
    assert pointed(tools.registry) == "1"
    assert [row.to_version for row in history(IRIS, STAGING)] == ["1"]


@pytest.fixture
def own_home(serving: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of its own."""
    made = copied(serving.home.root, tmp_path / "home")
    monkeypatch.setenv("SLUICE_HOME", str(made.root))
    return made
