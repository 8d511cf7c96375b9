"""The drift job on real records: what it measures, what it keeps, and what it refuses, with the next step."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from contracts.environments import Environment
from contracts.features import NUMERIC_FEATURES, NUMERIC_NAMES, SENDER_FEATURES
from contracts.tensors import SPAM_DETECTOR
from kit.files import Locked, locked
from kit.home import Home
from monitoring.drift import job
from monitoring.drift.latest import latest
from monitoring.drift.reference import Reference, reference_of
from monitoring.drift.result import Cause, DriftResult, Verdict
from monitoring.drift.windows import Asked
from monitoring.durations import duration
from monitoring.errors import NothingServed, ReferenceUnusable, TooFewRows, WindowMeasured
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.model_versions import VersionMissing
from records.repositories import metrics
from tests.monitoring.bundles import FLOWER, flower_bundle, mail_bundle, mail_table
from tests.monitoring.traffic import after, record, resampled, rows_of

DAY = Asked(length=duration("24h"))
ENCODED = NUMERIC_NAMES.index("subject_is_encoded")


async def measured(records: Records, home: Home, settings: MonitoringSettings, **how: Any) -> DriftResult:
    """Returns the one result of a run of the job an hour and a half after noon."""
    outcome = await job.run(records, home, settings, **({"now": after(1.5)} | how))
    assert outcome.unmeasured == ()
    (result,) = outcome.results
    return result


async def refusal(records: Records, home: Home, settings: MonitoringSettings, **how: Any) -> Any:
    """Returns the one error of a run of the job that measured nothing."""
    outcome = await job.run(records, home, settings, **({"now": after(1.5)} | how))
    assert outcome.results == ()
    ((_, error),) = outcome.unmeasured
    return error


def encoded(matrix: np.ndarray) -> np.ndarray:
    """Returns the numbers with every third subject encoded."""
    changed = matrix.copy()
    changed[::3, ENCODED] = 1
    return changed


async def test_quiet_traffic_is_said_to_be_quiet_and_kept(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """Every family is judged, no page is written, and the series holds each value once."""
    await record(records, rows_of(reference, resampled(reference, 300)))
    result = await measured(records, home, settings)
    assert [family.family for family in result.families] == ["header", "structure", "sender", "text", "score"]
    assert {family.verdict for family in result.families} == {Verdict.QUIET}
    assert (result.rows, result.reference_rows, result.report, result.not_measured) == (300, 900, None, ())
    async with records.reading() as session:
        kept = await metrics.of_dataset(
            session, model_name=SPAM_DETECTOR, source=Environment.PRODUCTION, dataset="1"
        )
    names = [row.metric for row in kept if not row.metric.startswith("estimated_")]
    assert {name: names.count(name) for name in set(names)} == {
        "drift_run": 1,
        "defaulted_share": 1,
        "drift": 5,
        "drift_p_value": 5,
        "psi": 28,
        "moved_share": 28,
        "ks": 27,
    }


async def test_a_drift_says_what_moved_with_examples(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """The examples are requests that moved, and the whole result goes through JSON unchanged."""
    rows = rows_of(reference, resampled(reference, 300), numbers=encoded)
    await record(records, rows)
    result = await measured(records, home, settings)
    assert [family.family for family in result.drifted] == ["header"]
    (header,) = result.drifted
    assert header.top[0].name == "subject_is_encoded"
    numbers = {row.request_id: row.numeric for row in rows}
    assert len(header.examples) == 3
    assert {numbers[name][ENCODED] for name in header.examples} == {1.0}
    assert header.since == result.window_start
    assert header.cause is None
    assert DriftResult.model_validate_json(result.model_dump_json()) == result
    (kept, *others) = await latest(records)
    assert (kept.family, kept.drift, kept.report) == ("header", 1, None)
    assert {row.drift for row in others} == {0}


async def test_since_reaches_back_over_drifting_windows_and_not_over_a_quiet_one(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """Quiet, drift, drift: since the second window. Each run takes up where the last one ended."""
    for number, change in enumerate((None, encoded, encoded)):
        chosen = resampled(reference, 250, seed=number)
        await record(
            records,
            rows_of(reference, chosen, name=f"w{number}", start=after(2 * number), numbers=change),
        )
    first = await measured(records, home, settings, now=after(1))
    second = await measured(records, home, settings, now=after(3))
    third = await measured(records, home, settings, now=after(5))
    assert first.drifted == ()
    assert (second.window_start, third.window_start) == (after(1), after(3))
    assert third.drifted[0].since == second.window_start


async def test_a_feature_store_that_is_down_is_named_as_the_cause(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """Four of ten rows were answered with defaults for the sender; the others are quiet."""
    out = np.random.default_rng(4).random(500) < 0.4
    defaults = [feature.default for feature in SENDER_FEATURES]

    def outage(matrix: np.ndarray) -> np.ndarray:
        changed = matrix.copy()
        changed[out, len(NUMERIC_FEATURES) - len(SENDER_FEATURES) :] = defaults
        return changed

    chosen = resampled(reference, 500)
    defaulted = (8 * out).tolist()
    await record(records, rows_of(reference, chosen, numbers=outage, defaulted=defaulted))
    result = await measured(records, home, settings)
    (sender,) = result.drifted
    assert (sender.family, sender.cause) == ("sender", Cause.FEATURE_STORE)
    assert "feature store" in sender.sentence
    assert result.defaulted_rows == out.sum()


async def test_strangers_are_a_drift_of_the_sender_and_not_an_outage(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """The same numbers as in an outage, of senders of whom the store said that it knows nothing."""

    def strangers(matrix: np.ndarray) -> np.ndarray:
        changed = matrix.copy()
        changed[::2, -len(SENDER_FEATURES) :] = [feature.default for feature in SENDER_FEATURES]
        return changed

    await record(records, rows_of(reference, resampled(reference, 500), numbers=strangers))
    result = await measured(records, home, settings)
    assert [(family.family, family.cause) for family in result.drifted] == [("sender", None)]
    assert result.defaulted_rows == 0


async def test_a_drift_beside_an_outage_is_not_blamed_on_it(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """Rows without defaults drift too."""
    defaulted = [8 * (at % 5 == 0) for at in range(500)]
    await record(records, rows_of(reference, resampled(reference, 500), numbers=encoded, defaulted=defaulted))
    result = await measured(records, home, settings)
    assert [(family.family, family.cause) for family in result.drifted] == [("header", None)]


async def test_only_what_this_version_answered_to_callers_counts(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """Mirrored copies, another environment and an older version are other traffic."""
    chosen = resampled(reference, 300)
    await record(records, rows_of(reference, chosen))
    copies = rows_of(reference, chosen, name="copy", numbers=encoded)
    await record(
        records, [row.model_copy(update={"shadow_of": f"row-{at}"}) for at, row in enumerate(copies)]
    )
    await record(records, rows_of(reference, chosen, name="old", version="0", start=after(-5)))
    staging = rows_of(reference, chosen, name="staging", environment=Environment.STAGING, numbers=encoded)
    await record(records, staging)
    result = await measured(records, home, settings, environment=Environment.PRODUCTION)
    assert (result.rows, result.version, result.drifted) == (300, "1", ())


async def test_too_few_rows_are_refused_with_both_numbers(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """And the next run takes them along."""
    await record(records, rows_of(reference, resampled(reference, 199)))
    error = await refusal(records, home, settings)
    assert isinstance(error, TooFewRows)
    assert "199 predictions" in error.message
    assert "needs 200" in error.message
    await record(records, rows_of(reference, resampled(reference, 1), name="last"))
    assert (await measured(records, home, settings)).rows == 200


async def test_a_window_that_overlaps_a_measured_one_is_refused(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """By period and by rows, each among its own; nothing is written twice."""
    await record(records, rows_of(reference, resampled(reference, 300)))
    await measured(records, home, settings, asked=DAY)
    assert isinstance(await refusal(records, home, settings, asked=DAY, now=after(2)), WindowMeasured)
    rows = await measured(records, home, settings, asked=Asked(rows=250))
    assert (rows.kind, rows.rows) == ("rows", 250)
    again = await refusal(records, home, settings, asked=Asked(rows=250))
    assert isinstance(again, WindowMeasured)
    assert "sluice drift run" in (again.next_step or "")
    few = await refusal(records, home, settings, asked=Asked(rows=5000))
    assert "needs 5,000" in few.message


async def test_nothing_recorded_is_told(records: Records, home: Home, settings: MonitoringSettings) -> None:
    """Empty tables, and a model that nobody asked."""
    with pytest.raises(NothingServed, match="No prediction is recorded"):
        await job.run(records, home, settings)
    with pytest.raises(NothingServed, match="of tulips in staging"):
        await job.run(records, home, settings, model="tulips", environment=Environment.STAGING)
    with pytest.raises(NothingServed, match="No drift run"):
        await latest(records)


async def test_only_the_latest_rows_of_a_huge_window_are_looked_at(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """What is left out is told."""
    await record(records, rows_of(reference, resampled(reference, 350)))
    result = await measured(records, home, settings.model_copy(update={"drift_max_rows": 250}))
    assert (result.rows, result.rows_left_out) == (250, 100)
    assert "100 earlier predictions" in result.not_measured[-1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")
async def test_a_version_whose_bundle_nobody_has_does_not_stop_the_others(
    records: Records,
    home: Home,
    settings: MonitoringSettings,
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The registry of this machine does not know version 9 of staging; production is measured."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    chosen = resampled(reference, 250)
    await record(records, rows_of(reference, chosen))
    await record(records, rows_of(reference, chosen, name="s", version="9", environment=Environment.STAGING))
    outcome = await job.run(records, home, settings, now=after(1.5))
    assert [result.environment for result in outcome.results] == [Environment.PRODUCTION]
    assert [type(error) for _, error in outcome.unmeasured] == [VersionMissing]


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (mail_table().slice(0, 0), "has no rows"),
        (mail_table().drop_columns(["probability_spam"]), "lacks probability_spam"),
        (
            mail_table().select(["id", "label", "part_count", "probability_ham", "probability_spam"]),
            "1 of 24",
        ),
    ],
)
def test_a_reference_that_is_none_is_refused(home: Home, table: pa.Table, what: str) -> None:
    """Empty, without scores, without numbers."""
    with pytest.raises(ReferenceUnusable, match=what):
        reference_of(mail_bundle(home.bundles / SPAM_DETECTOR / "2", table))


def test_a_reference_that_is_no_table_is_refused(home: Home) -> None:
    """Bytes that no reader of Parquet takes."""
    bundle = mail_bundle(home.bundles / SPAM_DETECTOR / "2")
    (bundle.folder / "reference.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ReferenceUnusable, match="cannot be read"):
        reference_of(bundle)


async def test_rows_of_another_contract_are_refused(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """Three numbers in each row, and 24 in the reference."""
    rows = rows_of(reference, resampled(reference, 250))
    await record(records, [row.model_copy(update={"numeric": (1.0, 2.0, 3.0)}) for row in rows])
    error = await refusal(records, home, settings)
    assert isinstance(error, ReferenceUnusable)
    assert "3 numbers" in error.message
    assert "24" in error.message


async def test_statistics_that_nobody_recorded_are_told_and_left_out(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """The other families are judged; a new statistic is told too, and a label that is none is a drift."""
    rows = rows_of(reference, resampled(reference, 250), label="eggs", text_statistics={"new": 1.0})
    await record(records, rows)
    result = await measured(records, home, settings)
    assert [family.family for family in result.families] == ["header", "structure", "sender", "score"]
    assert [family.family for family in result.drifted] == ["score"]
    assert "another label 100 %" in {f.name: f for f in result.drifted[0].features}["label"].current
    told = " ".join(result.not_measured)
    for name in ("text_token_count", "text_unique_share", "new"):
        assert name in told


async def test_a_model_without_families_has_one_for_its_numbers(
    records: Records, home: Home, settings: MonitoringSettings
) -> None:
    """Three classes, no threshold, a tiny reference: judged alike, and told that it is tiny."""
    flowers = reference_of(flower_bundle(home.bundles / FLOWER / "1"))
    await record(records, rows_of(flowers, resampled(flowers, 300)))
    result = await measured(records, home, settings)
    assert [(family.family, len(family.features)) for family in result.families] == [
        ("numbers", 4),
        ("score", 2),
    ]
    assert result.drifted == ()
    assert "only 60 rows" in result.not_measured[0]
    moved = rows_of(flowers, resampled(flowers, 300), name="m", start=after(2), numbers=lambda m: m + 1.5)
    await record(records, moved)
    later = await measured(records, home, settings, now=after(4))
    assert [family.family for family in later.drifted] == ["numbers"]


async def test_one_run_at_a_time(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """A second one is told to wait, and does not wait itself."""
    await record(records, rows_of(reference, resampled(reference, 250)))
    with locked(home.root / "monitoring" / "drift.lock", what="A test"), pytest.raises(Locked):
        await job.run(records, home, settings)
