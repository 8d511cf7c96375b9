"""A home with a registry of three versions: two that may serve and one that the gate refused."""

from pathlib import Path

import pytest

from kit.bundle import Bundle
from kit.home import Home
from records import model_registry
from serving.promotion import Tools
from tests.serving.promotion.shop import PaperDeployer, copied, made_home


@pytest.fixture(scope="session")
def template(
    tmp_path_factory: pytest.TempPathFactory, flowers_1: Bundle, flowers_2: Bundle, empty_registry: Path
) -> Path:
    """The home that every test copies: making a registry takes seconds, copying it does not."""
    return made_home(tmp_path_factory.mktemp("template"), [flowers_1, flowers_2], empty_registry).root


@pytest.fixture
def home(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of the test's own."""
    made = copied(template, tmp_path / "home")
    monkeypatch.setenv("SLUICE_HOME", str(made.root))
    return made


@pytest.fixture
def paper(tmp_path: Path) -> PaperDeployer:
    """A place of serving on paper."""
    return PaperDeployer(tmp_path / "paper.json")


@pytest.fixture
def tools(home: Home, paper: PaperDeployer) -> Tools:
    """What promotions work with."""
    return Tools(home, model_registry.opened(home), paper)
