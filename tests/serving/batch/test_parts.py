"""An input falls into parts that hold each row once, and rows of every kind get an answer or a problem."""

import hashlib
import mailbox
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.settings import FeatureRepoSettings
from feature_repo.vocabulary import Vocabulary
from kit.bundle import Bundle
from kit.onnx_function import OnnxFunction
from serving.batch.errors import InputRefused
from serving.batch.parquet import _cut
from serving.batch.rows import Limits, Problem, Rows
from serving.batch.source import Kind, source
from serving.extraction import EmailRefused, extract_element, model_inputs
from tests.serving.batch.inputs import BROKEN, ENVELOPE, answers, messages, parquet, scored
from tests.serving.bundles import mail_bundle


def limits(bundle: Bundle, id_column: str = "id", max_bytes: int = 1 << 20) -> Limits:
    """Returns what a reader is told of a bundle."""
    return Limits(bundle.contract, id_column, max_bytes)


def read(path: Path, told: Limits, part_rows: int) -> list[Rows]:
    """Returns the rows of each part of an input."""
    return [part.read(told) for part in source(path).parts(told, part_rows)]


@pytest.mark.parametrize("part_rows", [1, 7, 10, 1000])
def test_each_row_of_parquet_is_in_one_part_in_its_order(
    mails_1: Bundle, tmp_path: Path, part_rows: int
) -> None:
    """Several files with several row groups, none of a multiple of a part's size."""
    raws = messages(53)
    parquet(tmp_path / "in" / "b.parquet", raws[30:], rows=9, first=30)
    parquet(tmp_path / "in" / "a.parquet", raws[:30], rows=20)
    (tmp_path / "in" / "_SUCCESS").touch()
    parts = read(tmp_path / "in", limits(mails_1), part_rows)
    assert [row for part in parts for row in part.messages] == raws
    assert [row for part in parts for row in part.ids] == [f"m{at}" for at in range(53)]
    assert all(len(part) <= part_rows for part in parts)
    assert parts[0].sha256[0] == hashlib.sha256(raws[0]).hexdigest()


def test_a_row_group_too_large_to_keep_is_cut_from_its_batches() -> None:
    """Whatever sizes the reader's batches have."""
    table = pa.table({"at": range(100)})
    for first, rows in ((0, 10), (15, 30), (95, 5), (0, 100)):
        for size in (1, 7, 10, 100):
            found = pa.Table.from_batches(_cut(table.to_batches(size), first, rows))
            assert found["at"].to_pylist() == list(range(first, first + rows))


@pytest.mark.parametrize("part_rows", [1, 4, 1000])
def test_each_message_of_an_mbox_is_in_one_part(mails_1: Bundle, tmp_path: Path, part_rows: int) -> None:
    """Written by the standard library; a name without a suffix is known by its first line."""
    raws = messages(9)
    box = mailbox.mbox(tmp_path / "box.mbox")
    for raw in raws:
        box.add(raw)
    box.close()
    (tmp_path / "plain").write_bytes((tmp_path / "box.mbox").read_bytes())
    for name in ("box.mbox", "plain"):
        parts = read(tmp_path / name, limits(mails_1), part_rows)
        assert [row for part in parts for row in part.messages] == raws
        assert [row for part in parts for row in part.ids] == [f"{name}#{at}" for at in range(1, 10)]


def test_a_folder_gives_a_row_for_each_file_and_each_message_of_a_box(
    mails_1: Bundle, tmp_path: Path
) -> None:
    """Links and pipes are rows with a problem; they are not followed, nor waited for."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "one.eml").write_bytes(b"Subject: one\n\nx\n")
    (folder / "sub" / "two").write_bytes(b"Subject: two\n\ny\n")
    (folder / "three.mbox").write_bytes(ENVELOPE + b"A: 1\n\n" + ENVELOPE + b"A: 2\n")
    (folder / os.fsdecode(b"n\xff")).write_bytes(b"A: 3\n")
    (folder / "link").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    rows = [
        row
        for part in read(folder, limits(mails_1), 3)
        for row in zip(part.ids, part.problems, part.messages, strict=True)
    ]
    assert rows == [
        ("link", Problem.NOT_A_FILE, b""),
        ("n\ufffd", None, b"A: 3\n"),
        ("one.eml", None, b"Subject: one\n\nx\n"),
        ("pipe", Problem.NOT_A_FILE, b""),
        ("sub/two", None, b"Subject: two\n\ny\n"),
        ("three.mbox#1", None, b"A: 1\n"),
        ("three.mbox#2", None, b"A: 2\n"),
    ]


def test_a_huge_message_is_cut_where_reading_ends_and_hashed_whole(mails_1: Bundle, tmp_path: Path) -> None:
    """Memory is bounded, and the hash still finds the file."""
    raw = b"Subject: x\n\n" + b"y" * 5000
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "huge").write_bytes(raw)
    (part,) = read(tmp_path / "in", limits(mails_1, max_bytes=1024), 10)
    assert len(part.messages[0]) == 1025
    assert part.sha256 == [hashlib.sha256(raw).hexdigest()]


def test_input_that_cannot_be_scored_is_refused_with_what_to_do(
    mails_1: Bundle, flowers_1: Bundle, tmp_path: Path
) -> None:
    """Absent, empty, damaged, mixed, without the columns, of another kind than the model reads."""
    (tmp_path / "nothing.parquet").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    whole = parquet(tmp_path / "whole.parquet", messages(5)).read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "not.parquet").write_bytes(b"Subject: x\n\n")
    parquet(tmp_path / "mixed" / "a.parquet", messages(2))
    (tmp_path / "mixed" / "b.eml").write_bytes(b"A: b\n")
    pq.write_table(
        pa.table({"id": pa.array([], pa.string()), "raw": pa.array([], pa.binary())}),
        tmp_path / "norows.parquet",
    )
    pq.write_table(pa.table({"raw": [{"a": 1}], "id": ["x"]}), tmp_path / "struct.parquet")
    mail = limits(mails_1)
    for name, told, words in (
        ("absent", mail, "No such file"),
        ("nothing.parquet", mail, "is empty"),
        ("folder", mail, "is empty"),
        ("text.txt", mail, "neither Parquet"),
        ("half.parquet", mail, "no readable Parquet"),
        ("not.parquet", mail, "no readable Parquet"),
        ("mixed", mail, "1 Parquet files and 1 others"),
        ("norows.parquet", mail, "nothing to score"),
        ("struct.parquet", mail, "cannot be scored"),
        ("whole.parquet", limits(mails_1, "sha256"), "no column sha256"),
        ("whole.parquet", limits(flowers_1), "no column sepal_length_cm"),
    ):
        with pytest.raises(InputRefused, match=words) as caught:
            source(tmp_path / name).parts(told, 10)
        assert caught.value.next_step
    (tmp_path / "folder" / "a.eml").write_bytes(b"A: b\n")
    with pytest.raises(InputRefused, match="takes columns"):
        source(tmp_path / "folder").parts(limits(flowers_1), 10)
    assert source(tmp_path / "folder").kind is Kind.FOLDER


def test_damage_below_a_sound_footer_is_refused_with_the_name_of_the_file(
    mails_1: Bundle, tmp_path: Path
) -> None:
    """The plan sees nothing of it; the part that reads it does."""
    file = parquet(tmp_path / "x.parquet", [os.urandom(2000) for _ in range(50)])
    whole = bytearray(file.read_bytes())
    whole[200:40_000] = bytes(39_800)
    file.write_bytes(whole)
    with pytest.raises(InputRefused, match=r"x\.parquet is no readable Parquet file"):
        read(file, limits(mails_1), 10)


def test_answers_are_bit_for_bit_those_of_one_message_alone(tmp_path: Path) -> None:
    """Broken messages too; what looks structured and is not has a problem and no answer."""
    mails = mail_bundle(tmp_path / "bundle", threshold=0.03)
    raws = [*messages(40), *BROKEN]
    scored(parquet(tmp_path / "in.parquet", raws, rows=11), tmp_path / "out", mails)
    rows = answers(tmp_path / "out")
    assert len(rows) == len(raws)
    graph, reader = OnnxFunction(mails.model.read_bytes()), FeatureRepoSettings()
    vocabulary = Vocabulary.of(mails.contract.terms)
    for raw, row in zip(raws, rows, strict=True):
        assert (row["model"], row["version"]) == ("spam-detector", "1")
        assert row["bundle_digest"] == mails.digest
        assert row["schema_digest"] == mails.contract.schema_digest
        assert row["sha256"] == hashlib.sha256(raw).hexdigest()
        try:
            message = extract_element(raw, reader)
        except EmailRefused:
            assert row["problem"] == "refused"
            assert row["probability"] is row["verdict"] is row["label"] is row["known_share"] is None
            continue
        alone = graph(model_inputs([message]))
        probability = alone["probabilities"][0, 1]
        assert row["problem"] is None
        assert row["probability"] == float(probability)
        assert row["probabilities"] == alone["probabilities"][0].tolist()
        assert row["label"] == alone["label"][0]
        assert row["verdict"] == ("spam" if probability >= 0.03 else "ham")
        assert row["known_share"] == vocabulary.known_share(message.text)
    assert {row["verdict"] for row in rows} == {"spam", "ham", None}


def test_a_model_of_columns_takes_them_as_lists_or_one_by_one(flowers_1: Bundle, tmp_path: Path) -> None:
    """The same numbers give the same answers; what is wrong with a row stands in it."""
    matrix = np.random.default_rng(1).normal(3, 1, (30, 4)).astype(np.float32)
    ids = list(range(30))
    lists: list[list[float | None] | None] = [row.tolist() for row in matrix]
    names = flowers_1.contract.feature_names
    wide = {name: matrix[:, at] for at, name in enumerate(names)}
    pq.write_table(pa.table({"id": ids, **wide}), tmp_path / "wide.parquet")
    pq.write_table(pa.table({"id": ids, "features": lists}), tmp_path / "lists.parquet")
    lists[3], lists[4], lists[5] = None, [1.0, 2.0], [1.0, None, 2.0, 3.0]
    pq.write_table(pa.table({"id": ids, "features": lists}), tmp_path / "holes.parquet")
    found = {}
    for name in ("wide", "lists", "holes"):
        outcome = scored(tmp_path / f"{name}.parquet", tmp_path / name, flowers_1)
        found[name] = answers(tmp_path / name)
    assert found["wide"] == found["lists"]
    alone = OnnxFunction(flowers_1.model.read_bytes())({"features": matrix})
    assert [row["label"] for row in found["lists"]] == alone["label"].tolist()
    assert found["lists"][0]["verdict"] == flowers_1.contract.classes[alone["label"][0]]
    assert [row["problem"] for row in found["holes"]][3:6] == ["empty_cell", "wrong_shape", "empty_cell"]
    assert {row["known_share"] for row in found["lists"]} == {None}
    counts = outcome.manifest.counts
    assert counts["problems"] == {"empty_cell": 2, "wrong_shape": 1}
    assert (counts["rows"], counts["scored"]) == (30, 27)
