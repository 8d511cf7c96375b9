"""The reference corpus as the npm client brings it."""

import hashlib
from pathlib import Path

import pyarrow as pa

from contracts import corpus as column
from feature_repo.message import parse
from training.corpus.store import load


def test_reference_corpus_has_its_6046_messages_in_five_groups(corpus_path: Path, corpus: pa.Table) -> None:
    """Every message is kept, with the label of its group, and nothing is in quarantine."""
    counts = load(corpus_path)[1].counts
    assert corpus.column_names == list(column.COLUMNS)
    assert counts.groups == {
        "easy-ham-1": 2500,
        "easy-ham-2": 1400,
        "hard-ham-1": 250,
        "spam-1": 500,
        "spam-2": 1396,
    }
    assert counts.labels == {"ham": 4150, "spam": 1896}
    assert (counts.read, counts.kept, counts.quarantined, counts.repeated) == (6046, 6046, 0, 0)


def test_id_of_a_message_is_the_hash_of_its_raw_bytes(corpus: pa.Table) -> None:
    """Ids are SHA-256 over the stored bytes, unique, and the rows are ordered by them."""
    ids = corpus[column.SHA256].to_pylist()
    raws = corpus[column.RAW].to_pylist()
    assert ids == [hashlib.sha256(raw).hexdigest() for raw in raws]
    assert ids == sorted(set(ids))


def test_raw_bytes_are_the_original_ones_and_not_decoded_text(corpus: pa.Table) -> None:
    """Bytes that are no UTF-8 are still there: hundreds of messages hold some, and none a replacement."""
    raws = corpus[column.RAW].to_pylist()

    def is_utf8(raw: bytes) -> bool:
        try:
            raw.decode()
        except UnicodeDecodeError:
            return False
        return True

    assert sum(not is_utf8(raw) for raw in raws) == 500
    assert not any("\ufffd".encode() in raw for raw in raws)


def test_stored_date_and_sender_are_those_of_the_parser_of_today(corpus: pa.Table) -> None:
    """Training reads them from the corpus, serving from the message: they must be the same."""
    for row in corpus.slice(0, 1500).to_pylist():
        message = parse(row[column.RAW])
        assert (row[column.DATE], row[column.SENDER], row[column.SENDER_DOMAIN]) == (
            message.date,
            message.sender,
            message.sender_domain,
        )
