"""The first steps: data that cannot be learnt from is refused with a sentence, and a snapshot is the data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kit.errors import Bug, CallerError
from kit.home import Home
from training import snapshot, workloads
from training.data_quality import DataUnfit, broken_rules, require_fit
from training.snapshot import SnapshotUnreadable
from training.workload import Dataset, Indices, Rows, Splits

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Real data of the smallest workload, with every kind of question that a snapshot must answer."""
    found = workloads.find("iris").load(Home(tmp_path_factory.mktemp("home")))
    rows = found.rows

    def without_petals(rows: Rows) -> Rows:
        numbers = rows.inputs["features"].copy()
        numbers[:, 2:] = 0
        return replace(rows, inputs={**rows.inputs, "features": numbers})

    def doubled(indices: Indices) -> Rows:
        taken = rows.take(indices)
        inputs = {
            name: values * 2 if values.dtype.kind == "f" else values for name, values in taken.inputs.items()
        }
        return Rows(inputs, taken.labels, taken.ids)

    words = np.array([[f"word{number} ünïcode"] for number in range(len(rows))], dtype=object)
    return replace(
        found,
        rows=replace(rows, inputs={**rows.inputs, "text": words}),
        split_by_time=lambda: found.split(9),
        ablations={"without petals": without_petals, "the same": lambda rows: rows},
        perturbations={"doubled": doubled},
        reference={"length": np.arange(len(rows), dtype=np.float32)},
    )


@pytest.fixture(scope="module")
def restored(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same, through a folder."""
    folder = tmp_path_factory.mktemp("snapshot")
    snapshot.write(dataset, folder, seed=0, seeds=SEEDS)
    return snapshot.read(folder)


def same(first: Rows, second: Rows) -> None:
    """Passes if two sets of rows are equal in every value, type and shape."""
    assert first.inputs.keys() == second.inputs.keys()
    for name, values in first.inputs.items():
        assert values.dtype == second.inputs[name].dtype
        np.testing.assert_array_equal(values, second.inputs[name])
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.ids, second.ids)


def test_a_snapshot_holds_every_row_as_it_was(dataset: Dataset, restored: Dataset) -> None:
    """Inputs of every type, labels, ids, slices, titles, groups, the columns for drift."""
    same(dataset.rows, restored.rows)
    assert restored.fingerprint == dataset.fingerprint
    assert list(restored.titles) == list(dataset.titles)
    assert list(restored.groups) == list(dataset.groups)
    assert restored.slices.keys() == dataset.slices.keys()
    for name, mask in dataset.slices.items():
        np.testing.assert_array_equal(restored.slices[name], mask)
    np.testing.assert_array_equal(restored.reference["length"], dataset.reference["length"])


def test_a_snapshot_splits_as_the_data_did(dataset: Dataset, restored: Dataset) -> None:
    """For the seeds of the run, and by time."""
    assert restored.split_by_time is not None
    assert dataset.split_by_time is not None
    pairs = [(dataset.split(seed), restored.split(seed)) for seed in SEEDS]
    for first, second in [*pairs, (dataset.split_by_time(), restored.split_by_time())]:
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_snapshot_ablates_and_perturbs_as_the_data_did(dataset: Dataset, restored: Dataset) -> None:
    """Also for some of the rows only, in another order."""
    some = dataset.split(0).test[::-2]
    for name, ablate in dataset.ablations.items():
        same(ablate(dataset.rows.take(some)), restored.ablations[name](restored.rows.take(some)))
    same(dataset.perturbations["doubled"](some), restored.perturbations["doubled"](some))


def test_a_snapshot_refuses_what_it_does_not_hold(dataset: Dataset, restored: Dataset) -> None:
    """A seed that was not kept, and a perturbed row outside of the test rows, are errors and no guesses."""
    with pytest.raises(Bug, match="not of 7"):
        restored.split(7)
    with pytest.raises(Bug, match="test rows only"):
        restored.perturbations["doubled"](dataset.split(0).train)


def test_why_there_is_no_split_by_time_travels_with_the_snapshot(dataset: Dataset, tmp_path: Path) -> None:
    """The evaluation reports the reason, as it would have without a snapshot."""

    def refuse() -> Splits:
        raise CallerError("The dates are too much alike.")

    snapshot.write(replace(dataset, split_by_time=refuse), tmp_path, seed=0, seeds=SEEDS)
    by_time = snapshot.read(tmp_path).split_by_time
    assert by_time is not None
    with pytest.raises(CallerError, match="too much alike"):
        by_time()


def test_a_damaged_snapshot_is_said_to_be_one(dataset: Dataset, tmp_path: Path) -> None:
    """Cut short, as by a disk that filled up."""
    snapshot.write(dataset, tmp_path, seed=0, seeds=SEEDS)
    rows = tmp_path / "rows.parquet"
    rows.write_bytes(rows.read_bytes()[:-100])
    with pytest.raises(SnapshotUnreadable, match="no whole snapshot"):
        snapshot.read(tmp_path)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The real data as it is."""
    return workloads.find("iris").load(Home(tmp_path_factory.mktemp("home")))


CONTRACT = workloads.find("iris").contract


def test_good_data_passes_with_a_sentence_for_each_check(flowers: Dataset) -> None:
    """The detectors below stay silent on real data."""
    assert broken_rules(flowers, CONTRACT, SEEDS) == []
    assert "150 rows" in require_fit(flowers, CONTRACT, SEEDS)[0]


def with_inputs(dataset: Dataset, values: np.ndarray) -> Dataset:
    """Returns the data with other numbers."""
    return replace(dataset, rows=replace(dataset.rows, inputs={"features": values}))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_none_is_refused_with_its_row_and_column(flowers: Dataset, bad: float) -> None:
    """One among six hundred is enough."""
    values = flowers.rows.inputs["features"].copy()
    values[17, 2] = bad
    with pytest.raises(DataUnfit) as refusal:
        require_fit(with_inputs(flowers, values), CONTRACT, SEEDS)
    assert "in 1 rows, in columns 2; rows iris-017" in refusal.value.reasons[0]


def test_one_class_only_is_refused_by_name(flowers: Dataset) -> None:
    """Nothing can be learnt from flowers of one kind."""
    one = replace(flowers, rows=replace(flowers.rows, labels=np.zeros(150, dtype=np.int64)))
    with pytest.raises(DataUnfit) as refusal:
        require_fit(one, CONTRACT, SEEDS)
    assert refusal.value.reasons == (
        "The data hold one class only, setosa; nothing can be learnt without versicolor and virginica.",
    )


def test_an_empty_part_of_a_split_is_refused_with_its_seed(flowers: Dataset) -> None:
    """Whichever seed it is."""

    def split(seed: int) -> Splits:
        found = flowers.split(seed)
        return found if seed == 0 else found._replace(test=found.test[:0])

    reasons = broken_rules(replace(flowers, split=split), CONTRACT, SEEDS)
    assert reasons == ["The split of seed 1 leaves nothing for test."]


def test_a_part_without_a_class_is_refused(flowers: Dataset) -> None:
    """A test split without one kind would call a model perfect that never saw it."""

    def split(seed: int) -> Splits:
        found = flowers.split(seed)
        return found._replace(test=found.test[flowers.rows.labels[found.test] != 2])

    assert broken_rules(replace(flowers, split=split), CONTRACT, [0]) == [
        "The test rows of seed 0 hold no row of virginica."
    ]


def test_a_row_in_two_parts_is_refused(flowers: Dataset) -> None:
    """It would be learnt and judged."""

    def split(seed: int) -> Splits:
        found = flowers.split(seed)
        return found._replace(test=np.append(found.test, found.train[0]))

    assert broken_rules(replace(flowers, split=split), CONTRACT, [0]) == [
        "The split of seed 0 has a row in two parts."
    ]


def test_absent_and_misshapen_inputs_and_strange_labels_are_refused(flowers: Dataset) -> None:
    """Everything the contract promises is looked at."""
    values = flowers.rows.inputs["features"]
    assert broken_rules(with_inputs(flowers, values[:, :3]), CONTRACT, SEEDS) == [
        "The input features has the shape (150, 3), and not (150, 4)."
    ]
    absent = replace(flowers, rows=replace(flowers.rows, inputs={}))
    assert broken_rules(absent, CONTRACT, SEEDS) == ["The input features is absent."]
    labels = flowers.rows.labels.copy()
    labels[:2] = (-1, 3)
    strange = replace(flowers, rows=replace(flowers.rows, labels=labels))
    assert broken_rules(strange, CONTRACT, SEEDS) == ["2 labels are none of setosa, versicolor, virginica."]
    ids = flowers.rows.ids.copy()
    ids[1] = ids[0]
    repeated = replace(flowers, rows=replace(flowers.rows, ids=ids))
    assert broken_rules(repeated, CONTRACT, SEEDS) == ["1 rows have the id of another one."]
