"""The data fingerprint: one hash for a set of rows."""

import random

import pyarrow as pa
import pytest

from feature_repo.message import MessageLimits
from training.corpus.fingerprint import fingerprint
from training.corpus.found import Found
from training.corpus.rows import normalise

FOUND = [
    Found(f"From: {name}@example.org\nDate: 5 Oct 2002 17:23:18 +0000\n\nhi".encode(), label, group, "")
    for name, label, group in (("a", "ham", "g"), ("b", "spam", "g"), ("c", "ham", "h"))
]


def rows(found: list[Found]) -> pa.Table:
    """Returns the normalised rows."""
    return normalise(found, max_bytes=1000, limits=MessageLimits()).kept


def test_order_of_rows_does_not_matter(corpus: pa.Table) -> None:
    """The whole corpus, shuffled, has the fingerprint of the corpus."""
    order = list(range(corpus.num_rows))
    random.Random(7).shuffle(order)
    assert fingerprint(corpus.take(order)) == fingerprint(corpus)


@pytest.mark.parametrize(
    "other",
    [
        FOUND[:2],
        [*FOUND[:2], FOUND[2]._replace(label="spam")],
        [*FOUND[:2], FOUND[2]._replace(group="g")],
        [*FOUND[:2], FOUND[2]._replace(raw=FOUND[2].raw + b"!")],
        [*FOUND, FOUND[0]._replace(raw=b"From: d@example.org\n\n")],
        [],
    ],
)
def test_every_difference_in_the_rows_is_a_difference_of_the_fingerprint(other: list[Found]) -> None:
    """A row less or more, another label, group or byte."""
    assert fingerprint(rows(other)) != fingerprint(rows(FOUND))
    assert fingerprint(rows(FOUND)) == fingerprint(rows(FOUND[::-1]))


def test_values_cannot_slide_from_one_column_to_the_next() -> None:
    """Columns are kept apart: what ends one and begins the next is not the same as the reverse."""
    table = rows(FOUND)
    one = table.set_column(5, "sender", [["a", "b", "c"]]).set_column(6, "sender_domain", [["bc", "", ""]])
    two = table.set_column(5, "sender", [["ab", "b", "c"]]).set_column(6, "sender_domain", [["c", "", ""]])
    assert fingerprint(one) != fingerprint(two)
