"""The gate before training: both sides of every check."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from feature_repo.message import MessageLimits
from feature_repo.settings import FeatureRepoSettings
from kit.errors import ExitCode
from tests.training.conftest import Mail
from training.corpus import shift
from training.corpus.errors import CorpusMissing, SourceUnreadable
from training.corpus.fetch import fetch
from training.corpus.files import FolderSource
from training.corpus.found import Found
from training.corpus.rows import SCHEMA, normalise
from training.corpus.store import Counts
from training.corpus.summary import Dates, Duplicates, Summary
from training.corpus.validation import Unfit, broken_rules, checks_of, validate
from training.settings import TrainingSettings

READING = FeatureRepoSettings()
"""Limits of a message, as they are by default."""

SPELLED = str.maketrans("0123456789", "abcdefghij")


def rows(mail: Mail, count: int = 4) -> pa.Table:
    """Returns a small sound corpus."""
    found = [Found(mail(body=f"number {number}"), "ham", "g", "") for number in range(count)]
    return normalise(found, max_bytes=10_000, limits=MessageLimits()).kept


def summary(**changes: Any) -> Summary:
    """Returns the numbers of a corpus that is exactly at every limit of the defaults, but for `changes`."""
    values: dict[str, Any] = {
        "messages": 1000, "ham": 950, "spam": 50, "empty": 50, "copies": 500, "dated": 800,
        "read": 1000, "quarantined": 100,
    } | changes  # fmt: skip
    size = values["messages"]
    duplicates = Duplicates(
        clusters=size - values["copies"], copies=values["copies"], share=values["copies"] / size, largest=[]
    )
    return Summary(
        fingerprint="sha256:0",
        messages=size,
        source=Counts(
            read=values["read"], kept=size, quarantined=values["quarantined"], repeated=0,
            reasons={}, labels={}, groups={},
        ),
        labels={"ham": values["ham"], "spam": values["spam"]},
        groups={},
        dates=Dates(dated=values["dated"], share=values["dated"] / size, first=None, last=None, months={}),
        bytes={},
        tokens={},
        empty_texts=values["empty"],
        duplicates=duplicates,
        sender_domains=0,
        top_domains=[],
    )  # fmt: skip


def test_corpus_at_every_limit_passes() -> None:
    """The limits themselves are allowed."""
    checks = checks_of(summary(), TrainingSettings(min_messages=1000))
    assert [check.sentence for check in checks if not check.passed] == []
    assert len(checks) == 6


@pytest.mark.parametrize(
    ("changes", "check", "setting"),
    [
        ({"messages": 999}, "size", "TRAINING_MIN_MESSAGES"),
        ({"spam": 49}, "class balance", "TRAINING_MIN_CLASS_SHARE"),
        ({"ham": 0, "spam": 1000}, "class balance", "TRAINING_MIN_CLASS_SHARE"),
        ({"empty": 51}, "empty texts", "TRAINING_MAX_EMPTY_TEXT_SHARE"),
        ({"copies": 501}, "duplicates", "TRAINING_MAX_DUPLICATE_SHARE"),
        ({"dated": 799}, "date coverage", "TRAINING_MIN_DATED_SHARE"),
        ({"quarantined": 101}, "quarantine", "TRAINING_MAX_QUARANTINED_SHARE"),
    ],
)
def test_one_beyond_a_limit_fails_that_check_and_names_its_setting(
    changes: dict[str, int], check: str, setting: str
) -> None:
    """The sentence says what was found, and which limit it crossed."""
    failed = [
        item for item in checks_of(summary(**changes), TrainingSettings(min_messages=1000)) if not item.passed
    ]
    assert check in [item.name for item in failed]
    assert setting in next(item.sentence for item in failed if item.name == check)


def test_sound_rows_break_no_rule(mail: Mail, corpus: pa.Table) -> None:
    """Neither a small corpus nor the whole reference corpus."""
    assert broken_rules(rows(mail)) == []
    assert broken_rules(corpus) == []


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("sha256", "xyz", "no SHA-256"),
        ("sha256", "0" * 64, "do not hash to their id"),
        ("raw", b"  ", "no bytes"),
        ("label", "eggs", "neither spam nor ham"),
        ("sender", "ANN@example.org", "not in lower case"),
        ("sender_domain", "example.com", "another domain"),
    ],
)
def test_broken_row_is_told_with_its_rule(column: str, value: object, told: str, mail: Mail) -> None:
    """One bad value in one row is enough."""
    values = rows(mail).to_pylist()
    values[2][column] = value
    assert any(told in sentence for sentence in broken_rules(pa.Table.from_pylist(values, schema=SCHEMA)))


def test_missing_repeated_or_extra_column_breaks_the_schema(mail: Mail) -> None:
    """Columns, their order and their kinds belong to the contract; ids are unique."""
    table = rows(mail)
    assert broken_rules(table.drop_columns(["date"]))
    assert broken_rules(table.append_column("extra", [[1] * 4]))
    assert broken_rules(table.select(["raw", "sha256", "label", "group", "date", "sender", "sender_domain"]))
    assert broken_rules(pa.concat_tables([table, table]))
    assert broken_rules(table.set_column(4, "date", [["yesterday"] * 4]))


def fetched(
    folder: Path, mail: Mail, settings: TrainingSettings, *, ham: int, spam: int, length: int = 5
) -> Path:
    """Returns the folder of a corpus with so many messages of each class, each of about `length` words."""
    source = folder / "source"
    for label, count in (("ham", ham), ("spam", spam)):
        (source / label).mkdir(parents=True, exist_ok=True)
        for old in (source / label).iterdir():
            old.unlink()
        for number in range(count):
            # Digits become placeholders in the text of a model, and would make copies of all: spell them.
            words = " ".join(f"{label}{number}x{word}".translate(SPELLED) for word in range(length))
            (source / label / str(number)).write_bytes(mail(body=words))
    fetch(folder / "corpus", FolderSource(source, None, settings), settings, READING)
    return folder / "corpus"


@pytest.fixture
def lenient(settings: TrainingSettings) -> TrainingSettings:
    """Limits that a corpus of a few dozen messages can meet."""
    return settings.model_copy(update={"min_messages": 10, "message_max_bytes": 100_000})


def test_sound_corpus_passes_and_is_remembered(tmp_path: Path, mail: Mail, lenient: TrainingSettings) -> None:
    """The next one is compared with it, and an equal one has not moved at all."""
    folder = fetched(tmp_path, mail, lenient, ham=30, spam=20)
    assert all(check.passed for check in validate(folder, lenient, READING).checks)
    again = {check.name: check.sentence for check in validate(folder, lenient, READING).checks}
    assert "index of 0.000" in again["shift of label"]
    profile = shift.accepted(folder)
    assert profile is not None
    assert profile.distributions["label"] == {"ham": 30, "spam": 20}


def test_moved_corpus_is_refused_with_exit_3_and_not_remembered(
    tmp_path: Path, mail: Mail, lenient: TrainingSettings
) -> None:
    """Longer messages and another balance: each is a reason; the reference stays the accepted one."""
    folder = fetched(tmp_path, mail, lenient, ham=30, spam=20)
    validate(folder, lenient, READING)
    fetched(tmp_path, mail, lenient, ham=10, spam=40, length=300)
    with pytest.raises(Unfit) as caught:
        validate(folder, lenient, READING)
    assert caught.value.exit_code is ExitCode.REFUSED
    told = " ".join(caught.value.reasons)
    for name in ("label", "bytes", "tokens"):
        assert f"distribution of {name} moved" in told
    assert "--accept-shift" in told
    profile = shift.accepted(folder)
    assert profile is not None
    assert profile.distributions["label"] == {"ham": 30, "spam": 20}


def test_meant_change_is_accepted_and_becomes_the_reference(
    tmp_path: Path, mail: Mail, lenient: TrainingSettings
) -> None:
    """After --accept-shift the same corpus passes by itself."""
    folder = fetched(tmp_path, mail, lenient, ham=30, spam=20)
    validate(folder, lenient, READING)
    fetched(tmp_path, mail, lenient, ham=10, spam=40)
    assert all(check.passed for check in validate(folder, lenient, READING, accept_shift=True).checks)
    validate(folder, lenient, READING)


def test_meant_change_does_not_excuse_another_fault(
    tmp_path: Path, mail: Mail, lenient: TrainingSettings
) -> None:
    """One class only stays refused."""
    folder = fetched(tmp_path, mail, lenient, ham=30, spam=0)
    with pytest.raises(Unfit, match="not fit") as caught:
        validate(folder, lenient, READING, accept_shift=True)
    assert "0.0% of the messages are spam" in caught.value.reasons[0]
    assert shift.accepted(folder) is None


def test_resampled_corpus_has_not_moved() -> None:
    """Fewer of everything is no change, one bin that doubles is a small one, another shape a large one."""
    former = {"1+": 100, "2+": 300, "4+": 200}
    assert shift.stability_index({"1+": 90, "2+": 270, "4+": 180}, former) < 0.001
    assert 0.01 < shift.stability_index({"1+": 200, "2+": 300, "4+": 200}, former) < 0.25
    assert shift.stability_index({"4+": 100, "8+": 500}, former) > 0.25
    assert shift.stability_index({}, {}) == 0.0


def test_absent_corpus_and_damaged_memory_say_what_to_do(
    tmp_path: Path, mail: Mail, lenient: TrainingSettings
) -> None:
    """Fetch first; delete what cannot be read."""
    with pytest.raises(CorpusMissing) as missing:
        validate(tmp_path / "nowhere", lenient, READING)
    assert missing.value.next_step == "Run: sluice data fetch"
    folder = fetched(tmp_path, mail, lenient, ham=30, spam=20)
    (folder / shift.ACCEPTED).write_text("{")
    with pytest.raises(SourceUnreadable, match="damaged"):
        validate(folder, lenient, READING)
