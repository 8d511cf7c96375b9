"""The measurement runs whole at a small size, and compares like with like."""

from pathlib import Path

from kit.home import Home
from records.benchmarks import prediction_window
from tests.records.conftest import on_postgresql


@on_postgresql
def test_the_figures_are_of_both_databases_with_a_peer(tmp_path: Path) -> None:
    """Written and read in each; every reading has its peer and ratio; nothing is left behind."""
    figures = prediction_window(Home(tmp_path), rows=1500)
    assert [figure.name.rpartition(", ")[2] for figure in figures] == ["SQLite"] * 2 + ["PostgreSQL"] * 2
    assert all(figure.value > 0 and figure.unit == "rows/s" for figure in figures)
    assert all(figure.peer and figure.ratio for figure in figures[1::2])
    assert list(tmp_path.iterdir()) == []
