"""A home for routes."""

from pathlib import Path

import pytest

from kit.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty one."""
    return Home(tmp_path / "home")
