"""The measurement runs whole at a small size, and leaves nothing behind."""

from pathlib import Path

import pytest

from gateway.memory.benchmarks import recording
from kit.home import Home

pytestmark = pytest.mark.xdist_group("postgresql")


def test_the_figures_are_of_each_database_and_each_fsync(tmp_path: Path) -> None:
    """Every one is a number above nought."""
    figures = recording(Home(tmp_path), rows=200)
    assert [figure.unit for figure in figures] == ["us", *["rows/s", "ms"] * 2, *["rows/s"] * 3]
    assert all(figure.value > 0 for figure in figures)
    assert list(tmp_path.iterdir()) == []
