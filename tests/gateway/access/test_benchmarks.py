"""The measurement runs whole at a small size, and leaves nothing behind."""

from pathlib import Path

from gateway.access.benchmarks import admission
from kit.home import Home


def test_the_figures_are_of_each_step(tmp_path: Path) -> None:
    """Every one is a number above nought, and nothing is missing where there is a Redis."""
    report = admission(Home(tmp_path), requests=50, keys=5)
    assert [figure.unit for figure in report.figures] == ["us"] * 4
    assert all(figure.value > 0 for figure in report.figures)
    assert report.figures[1].ratio is not None
    assert report.missing == {}
    assert list(tmp_path.iterdir()) == []
