"""The gate before training: is this corpus fit to learn from? It answers with reasons."""

import hashlib
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandera.pandas as pandera
import pyarrow as pa

from contracts import corpus as column
from contracts.labels import Label
from feature_repo.message import MessageLimits
from feature_repo.settings import FeatureRepoSettings
from kit.errors import Refused
from training.corpus import shift
from training.corpus.duplicates import clusters_of
from training.corpus.store import load
from training.corpus.summary import Summary, summarise
from training.settings import TrainingSettings

_MOST_COMPLAINTS: Final = 10


class Unfit(Refused):
    """The corpus must not be trained on as it is."""

    code = "corpus_unfit"
    title = "Corpus refused"


class Check(NamedTuple):
    """One thing that was looked at; `sentence` tells what was found, and what to do if it did not pass."""

    name: str
    passed: bool
    sentence: str


class Validation(NamedTuple):
    """The answer of the gate: it passed, and these are the checks."""

    fingerprint: str
    messages: int
    checks: tuple[Check, ...]


def validate(
    folder: Path, settings: TrainingSettings, reading: FeatureRepoSettings, *, accept_shift: bool = False
) -> Validation:
    """Returns the checks of the corpus in `folder` if it passed them all, and remembers its distributions.

    `reading` limits what is read of a message. `accept_shift` says that a change of distributions is meant.

    Raises:
        Unfit: a check did not pass; nothing is remembered.
        CorpusMissing: there is no corpus.
    """
    corpus, manifest = load(folder)
    broken = broken_rules(corpus)
    if broken:
        raise Unfit(
            "The corpus on disk breaks its own schema.", reasons=broken, next_step="Run: sluice data fetch"
        )
    clusters = clusters_of(corpus, folder, reading)
    profile = shift.profile_of(corpus, clusters, manifest.fingerprint)
    checks = (
        Check("schema", passed=True, sentence=f"{corpus.num_rows:,} rows keep every rule of their columns."),
        *checks_of(summarise(corpus, manifest, clusters, MessageLimits.of(reading)), settings),
        *shift_checks(profile, shift.accepted(folder), settings, accepted=accept_shift),
    )
    failed = [check.sentence for check in checks if not check.passed]
    if failed:
        raise Unfit(
            f"The corpus is not fit to train on: {len(failed)} of {len(checks)} checks failed.",
            reasons=failed,
            next_step="Mend the corpus and fetch it again, or change the TRAINING_ limit named above.",
        )
    shift.accept(folder, profile)
    return Validation(manifest.fingerprint, corpus.num_rows, checks)


def broken_rules(corpus: pa.Table) -> list[str]:
    """Returns a sentence for each rule of the columns that some row breaks; pandera is the judge."""
    try:
        _schema().validate(corpus.to_pandas(), lazy=True)
    except pandera.errors.SchemaErrors as exc:
        cases = exc.failure_cases.groupby(["column", "check"], dropna=False, sort=True).size()
        found = [f"{name}: {check} ({count} times)" for (name, check), count in cases.items()]
        return found[:_MOST_COMPLAINTS]
    return []


def checks_of(summary: Summary, settings: TrainingSettings) -> list[Check]:
    """Returns what the numbers of a corpus say against its limits."""
    rarer = min(Label, key=summary.label_share)
    entries = summary.source.read
    return [
        _at_least("size", summary.messages, settings.min_messages, "messages", "TRAINING_MIN_MESSAGES"),
        _share_at_least(
            "class balance", summary.label_share(rarer), settings.min_class_share,
            f"of the messages are {rarer}", "TRAINING_MIN_CLASS_SHARE",
        ),
        _share_at_most(
            "empty texts", summary.empty_texts / summary.messages, settings.max_empty_text_share,
            "of the messages have no text", "TRAINING_MAX_EMPTY_TEXT_SHARE",
        ),
        _share_at_most(
            "duplicates", summary.duplicates.share, settings.max_duplicate_share,
            "of the messages are copies", "TRAINING_MAX_DUPLICATE_SHARE",
        ),
        _share_at_least(
            "date coverage", summary.dates.share, settings.min_dated_share,
            "of the messages have a date to believe", "TRAINING_MIN_DATED_SHARE",
        ),
        _share_at_most(
            "quarantine", summary.source.quarantined / entries, settings.max_quarantined_share,
            "of the source's entries are in quarantine", "TRAINING_MAX_QUARANTINED_SHARE",
        ),
    ]  # fmt: skip


def shift_checks(
    current: shift.Profile, former: shift.Profile | None, settings: TrainingSettings, *, accepted: bool
) -> list[Check]:
    """Returns how far each distribution is from the last accepted corpus, if there is one."""
    if former is None:
        return [Check("shift", passed=True, sentence="No corpus was accepted before this one.")]
    checks = []
    for name, index in shift.shifts(current, former).items():
        told = f"The distribution of {name} moved by a stability index of {index:.3f}"
        if index <= settings.max_shift:
            checks.append(Check(f"shift of {name}", passed=True, sentence=f"{told}."))
        elif accepted:
            checks.append(Check(f"shift of {name}", passed=True, sentence=f"{told}; it was meant."))
        else:
            sentence = (
                f"{told}; at most {settings.max_shift:g} is allowed (TRAINING_MAX_SHIFT). If the change is "
                "meant: sluice data validate --accept-shift"
            )
            checks.append(Check(f"shift of {name}", passed=False, sentence=sentence))
    return checks


def _at_least(name: str, found: int, limit: int, what: str, setting: str) -> Check:
    passed = found >= limit
    told = f"{found:,} {what}"
    return Check(
        name, passed, f"{told}." if passed else f"{told}; at least {limit:,} are needed ({setting})."
    )


def _share_at_least(name: str, found: float, limit: float, what: str, setting: str) -> Check:
    passed = found >= limit
    told = f"{found:.1%} {what}"
    return Check(name, passed, f"{told}." if passed else f"{told}; at least {limit:.1%} must be ({setting}).")


def _share_at_most(name: str, found: float, limit: float, what: str, setting: str) -> Check:
    passed = found <= limit
    told = f"{found:.1%} {what}"
    return Check(name, passed, f"{told}." if passed else f"{told}; at most {limit:.1%} may be ({setting}).")


def _schema() -> pandera.DataFrameSchema:
    def check(rule: Any, sentence: str) -> pandera.Check:
        return pandera.Check(rule, element_wise=True, error=sentence)

    return pandera.DataFrameSchema(
        {
            column.SHA256: pandera.Column(
                str, pandera.Check.str_matches(r"^[0-9a-f]{64}$", error="no SHA-256"), unique=True
            ),
            column.RAW: pandera.Column(
                object, check(lambda raw: isinstance(raw, bytes) and bool(raw.strip()), "no bytes")
            ),
            column.LABEL: pandera.Column(
                str, pandera.Check.isin([*map(str, Label)], error="neither spam nor ham")
            ),
            column.GROUP: pandera.Column(str),
            column.DATE: pandera.Column("datetime64[us, UTC]", nullable=True),
            column.SENDER: pandera.Column(
                str, check(lambda sender: sender == sender.lower(), "not in lower case")
            ),
            column.SENDER_DOMAIN: pandera.Column(str),
        },
        checks=[
            pandera.Check(
                lambda rows: rows.apply(
                    lambda row: hashlib.sha256(row[column.RAW]).hexdigest() == row[column.SHA256], axis=1
                ),
                error="raw bytes that do not hash to their id",
            ),
            pandera.Check(
                lambda rows: rows.apply(
                    lambda row: row[column.SENDER].rpartition("@")[2] == row[column.SENDER_DOMAIN], axis=1
                ),
                error="a sender of another domain",
            ),
        ],
        strict=True,
        ordered=True,
    )
