"""The measured figures of extraction and of the feature stores, on a few messages."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts import corpus as column
from feature_repo.benchmarks import extraction
from feature_repo.corpus_events import corpus_path
from feature_repo.lookup_benchmark import lookup
from kit.errors import UsageError
from kit.home import Home

pytestmark = pytest.mark.xdist_group("feast")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a corpus of six messages of three senders."""
    made = Home(tmp_path / "home")
    rows = [
        {
            column.SHA256: f"{number:064x}",
            column.RAW: f"From: s{number % 3}@example.org\nSubject: Hi {number}\n\nHello there".encode(),
            column.LABEL: "spam" if number % 2 else "ham",
            column.GROUP: "g",
            column.DATE: datetime(2002, 10, number + 1, tzinfo=UTC),
            column.SENDER: f"s{number % 3}@example.org",
            column.SENDER_DOMAIN: "example.org",
        }
        for number in range(6)
    ]
    corpus_path(made).parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), corpus_path(made))
    return made


def test_extraction_is_measured_against_the_standard_library_and_one_core(home: Home) -> None:
    """Each figure has a value, and where there is a peer their ratio from the same run."""
    figures = extraction(home, hostile_bytes=1024)
    assert [figure.unit for figure in figures] == ["µs/message", "messages/s", "times", "ms"]
    assert all(figure.value > 0 for figure in figures)
    assert all(figure.ratio is not None and figure.ratio > 0 for figure in figures[:2])
    assert "of 6 messages" in str(figures[0].note)


def test_lookups_are_measured_in_both_stores_against_feast_itself(home: Home) -> None:
    """SQLite and a real Redis; what is kept in the home stays as it is."""
    before = sorted(path.name for path in home.root.rglob("*"))
    names = [figure.name for figure in lookup(home, repeats=5)]
    assert [name for name in names if "sqlite, 1 sender," in name]
    assert [name for name in names if "redis, 32 senders," in name]
    assert "point-in-time join, 6 messages" in names
    assert len(names) == 7
    assert sorted(path.name for path in home.root.rglob("*")) == before


@pytest.mark.parametrize("measure", [extraction, lookup])
def test_without_a_corpus_nothing_is_measured(measure: object, tmp_path: Path) -> None:
    """A figure without its data would be made up."""
    assert callable(measure)
    with pytest.raises(UsageError, match="no corpus"):
        measure(Home(tmp_path))
