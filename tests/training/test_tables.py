"""Messages in CSV and Parquet."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.corpus.errors import SourceUnreadable
from training.corpus.found import Found
from training.corpus.tables import CsvSource, ParquetSource, is_parquet


def in_csv(path: Path, content: bytes) -> list[Found]:
    """Returns what a CSV file with `content` holds."""
    path.write_bytes(content)
    return list(CsvSource(path, path.name, str(path)).entries())


def test_csv_bytes_that_are_no_utf8_come_through_unchanged(tmp_path: Path) -> None:
    """A message is bytes; its charset is its own affair. NUL, quotes and line breaks stay too."""
    found = in_csv(tmp_path / "m.csv", b'label,raw\nspam,"A: \xff\xe9\x00 ""q""\r\n\r\nx\ny"\n Ham ,A: b\n')
    assert found == [
        Found(b'A: \xff\xe9\x00 "q"\r\n\r\nx\ny', "spam", "m", "m.csv:5"),
        Found(b"A: b", "ham", "m", "m.csv:6"),
    ]


def test_csv_may_begin_with_a_byte_order_mark_and_name_groups(tmp_path: Path) -> None:
    """Spreadsheets write one; a group column is used where it says something."""
    found = in_csv(tmp_path / "m.csv", b"\xef\xbb\xbfraw,label,group\nA: b,ham,work\nA: c,ham,\n")
    assert [(item.raw, item.group) for item in found] == [(b"A: b", "work"), (b"A: c", "m")]


def test_csv_field_of_megabytes_is_read(tmp_path: Path) -> None:
    """The csv module's own limit of 131,072 characters does not apply, and is put back afterwards."""
    import csv

    before = csv.field_size_limit()
    found = in_csv(tmp_path / "m.csv", b"raw,label\nA: " + b"x" * 2_000_000 + b",ham\n")
    assert len(found[0].raw) == 2_000_003
    assert csv.field_size_limit() == before


def test_short_row_is_an_entry_without_label(tmp_path: Path) -> None:
    """It goes on to quarantine, and does not stop the file."""
    assert [(item.raw, item.label) for item in in_csv(tmp_path / "m.csv", b"raw,label\nA: b\n,ham\n")] == [
        (b"A: b", None),
        (b"", "ham"),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"text,label\nA: b,ham\n", "no column raw"),
        (b"", "no column raw and no column label"),
        ("raw,label\nA: b,ham\n".encode("utf-16"), "UTF-16"),
        (b'raw,label\n"A: b,ham\n', "no valid CSV"),
    ],
)
def test_csv_that_cannot_be_read_says_why(content: bytes, told: str, tmp_path: Path) -> None:
    """A missing column is named together with the ones that are there."""
    with pytest.raises(SourceUnreadable, match=told):
        in_csv(tmp_path / "m.csv", content)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.string()])
def test_parquet_holds_messages_as_bytes_or_as_text(kind: pa.DataType, tmp_path: Path) -> None:
    """Both come out as bytes; a null is an empty entry without label."""
    path = tmp_path / "m.parquet"
    raws = pa.array([b"A: b", b"A: \xc3\xa9", None], pa.binary()).cast(kind)
    pq.write_table(pa.table({"raw": raws, "label": ["SPAM", "ham", None], "other": [1, 2, 3]}), path)
    assert is_parquet(path)
    assert [(item.raw, item.label) for item in ParquetSource(path, "m.parquet", "").entries()] == [
        (b"A: b", "spam"),
        ("A: é".encode(), "ham"),
        (b"", None),
    ]


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    """A file that only begins like Parquet is an error with a next step."""
    path = tmp_path / "m.parquet"
    path.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(SourceUnreadable, match="damaged"):
        list(ParquetSource(path, "m.parquet", "").entries())
