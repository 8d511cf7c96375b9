"""Small bundles for everything that serves, made once for all workers of a run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kit.bundle import Bundle, load
from kit.files import locked
from tests.serving.bundles import flower_bundle, mail_bundle

_WAIT_SECONDS = 300


@pytest.fixture(scope="session")
def bundles(shared_folder: Path) -> Path:
    """The folder of the bundles of this run; the workers of pytest-xdist share it."""
    return shared_folder / "bundles"


def _made_once(folder: Path, make: Callable[[Path, int], Bundle], seed: int) -> Bundle:
    with locked(folder.with_suffix(".lock"), what="Making a bundle", timeout_seconds=_WAIT_SECONDS):
        return load(folder) if folder.exists() else make(folder, seed)


@pytest.fixture(scope="session")
def flowers_1(bundles: Path) -> Bundle:
    """A model of numbers only: the contract of iris."""
    return _made_once(bundles / "flowers-1", flower_bundle, 1)


@pytest.fixture(scope="session")
def flowers_2(bundles: Path) -> Bundle:
    """Another model of the same contract."""
    return _made_once(bundles / "flowers-2", flower_bundle, 2)


@pytest.fixture(scope="session")
def mails_1(bundles: Path) -> Bundle:
    """A model of text and numbers: the contract of spam-detector."""
    return _made_once(bundles / "mails-1", mail_bundle, 1)


@pytest.fixture(scope="session")
def mails_2(bundles: Path) -> Bundle:
    """Another model of the same contract."""
    return _made_once(bundles / "mails-2", mail_bundle, 2)
