"""A home for routes, and the small bundles of everything that serves."""

from pathlib import Path

import pytest

from kit.home import Home
from tests.serving.conftest import bundles, flowers_1, flowers_2, mails_1

__all__ = ("bundles", "flowers_1", "flowers_2", "home", "mails_1")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty one."""
    return Home(tmp_path / "home")
