"""The two workloads hand the platform what it asks for."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from contracts.features import MESSAGE_FEATURES, NUMERIC_FEATURES, NUMERIC_NAMES, SCHEMA_DIGEST
from feature_repo.offline import HistoryMissing
from kit.errors import ExitCode
from kit.home import Home
from tests.training.models.conftest import FittedModel
from training.corpus import store
from training.corpus.errors import CorpusMissing
from training.corpus.fingerprint import fingerprint
from training.workload import Choice, Dataset, Uniform, Whole, Workload
from training.workloads import MODULES, UnknownWorkload, find, iris
from training.workloads.spam_detector.dataset import NUMBERS, TEXT
from training.workloads.spam_detector.history import HistoryStale

pytestmark = pytest.mark.xdist_group("models")  # one worker fits the model that they share

Flowers = tuple[Workload, Dataset, Any, Any]
BOTH = sorted(MODULES)


def test_unknown_workload_is_wrong_usage_with_the_names() -> None:
    """Whoever mistypes sees what there is."""
    with pytest.raises(UnknownWorkload) as caught:
        find("span-detector")
    assert caught.value.exit_code is ExitCode.USAGE
    assert "iris, spam-detector" in (caught.value.next_step or "")


@pytest.mark.parametrize("name", BOTH)
def test_workload_is_consistent_in_itself(name: str) -> None:
    """Its defaults lie in its search space, its edge rows have its shapes, and it knows its own name."""
    workload = find(name)
    assert workload.name == name
    assert set(workload.search_space) <= set(workload.defaults)
    for parameter, domain in workload.search_space.items():
        value = workload.defaults[parameter]
        match domain:
            case Choice(values):
                assert value in values
            case Uniform(low, high, _) | Whole(low, high, _):
                assert low <= value <= high
    edges = workload.edge_inputs()
    assert set(edges) == {tensor.name for tensor in workload.contract.inputs}
    for tensor in workload.contract.inputs:
        assert edges[tensor.name].shape[1:] == tensor.shape
        columns = workload.contract.input_columns.get(tensor.name)
        assert columns is None or (len(columns),) == tensor.shape


@pytest.mark.parametrize("name", BOTH)
def test_estimator_travels_to_another_process(name: str) -> None:
    """Ray sends it to its workers by pickle."""
    estimator = find(name).estimator
    assert pickle.loads(pickle.dumps(estimator)) == estimator  # noqa: S301 - our own bytes


def test_saved_mail_model_answers_as_before(mail_model: FittedModel, tmp_path: Path) -> None:
    """What the next step of a pipeline loads is equal in every answer, and so is what was pickled."""
    estimator = mail_model.workload.estimator
    estimator.save(tmp_path, mail_model.featuriser, mail_model.fitted)
    few = mail_model.rows.take(np.arange(40))
    copies = [
        estimator.load(tmp_path),
        pickle.loads(pickle.dumps((mail_model.featuriser, mail_model.fitted))),  # noqa: S301 - our own bytes
    ]
    for featuriser, fitted in copies:
        matrix = featuriser.matrix(few.inputs)
        assert featuriser.feature_names == mail_model.featuriser.feature_names
        assert matrix.tolist() == mail_model.matrix[:40].tolist()
        assert fitted.probabilities(matrix).tolist() == (
            mail_model.fitted.probabilities(mail_model.matrix[:40]).tolist()
        )
        assert fitted.rounds == mail_model.fitted.rounds


def test_saved_forest_answers_as_before(flowers: Flowers, tmp_path: Path) -> None:
    """The same for the forest."""
    workload, data, featuriser, fitted = flowers
    workload.estimator.save(tmp_path, featuriser, fitted)
    other_featuriser, other = workload.estimator.load(tmp_path)
    matrix = other_featuriser.matrix(data.rows.inputs)
    assert matrix.tolist() == data.rows.inputs["features"].tolist()
    assert other.probabilities(matrix).tolist() == fitted.probabilities(matrix).tolist()


def test_iris_is_learned(flowers: Flowers) -> None:
    """The forest names nine of ten unseen flowers, and the split keeps equal flowers together."""
    _, data, featuriser, fitted = flowers
    split = data.split(1)
    assert sorted(np.concatenate(split).tolist()) == list(range(150))
    assert [len(part) for part in split] == pytest.approx([105, 22, 22], abs=4)
    groups = [{data.groups[row] for row in part} for part in split]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    test = data.rows.take(split.test)
    labels = fitted.probabilities(featuriser.matrix(test.inputs)).argmax(axis=1)
    assert (labels == test.labels).mean() >= 0.9


def test_mail_is_learned(mail_model: FittedModel) -> None:
    """A few hundred real messages are enough to tell nine of ten unseen ones apart."""
    unseen = np.setdiff1d(np.arange(len(mail_model.rows)), [*mail_model.train, *mail_model.validation])
    spam = mail_model.fitted.probabilities(mail_model.matrix[unseen])[:, 1]
    assert ((spam > 0.5) == mail_model.rows.labels[unseen]).mean() >= 0.85


def test_mail_contract_is_that_of_the_house(mail_model: FittedModel) -> None:
    """524 features: 500 terms and the 24 numbers by name; ham before spam."""
    contract = mail_model.workload.contract
    assert contract.classes == ("ham", "spam")
    assert contract.schema_digest == SCHEMA_DIGEST
    assert mail_model.matrix.shape[1] == 524
    assert mail_model.matrix.dtype == np.float32
    assert mail_model.featuriser.feature_names[500:] == NUMERIC_NAMES


def test_edge_numbers_reach_both_bounds_of_every_feature() -> None:
    """The certificate sees the least and the greatest value of each number, and texts of every kind."""
    edges = find("spam-detector").edge_inputs()
    assert edges[NUMBERS].min(axis=0).tolist() == [feature.low for feature in NUMERIC_FEATURES]
    assert edges[NUMBERS].max(axis=0).tolist() == [np.float32(feature.high) for feature in NUMERIC_FEATURES]
    assert "" in edges[TEXT][:, 0]


def test_slices_and_titles_describe_the_rows(mails: Dataset) -> None:
    """Lengths and groups part the rows; every sender is unknown here; titles are the subjects."""
    slices = {name: mask.sum() for name, mask in mails.slices.items()}
    rows = len(mails.rows)
    assert sum(count for name, count in slices.items() if name.startswith("length:")) == rows
    assert sum(count for name, count in slices.items() if name.startswith("group:")) == rows
    assert slices["unknown_sender"] == rows
    assert 0 < slices["html_only"] < slices["has_links"] < rows
    assert len(mails.titles) == len(mails.groups) == rows
    assert {len(column) for column in mails.reference.values()} == {rows}


def test_ablation_makes_every_sender_unknown_and_touches_nothing_else(mails: Dataset) -> None:
    """The eight sender numbers become their defaults; the given rows stay as they were."""
    known = mails.rows.inputs[NUMBERS] + 1
    rows = type(mails.rows)({**mails.rows.inputs, NUMBERS: known}, mails.rows.labels, mails.rows.ids)
    without = mails.ablations["without_sender_history"](rows)
    sixteen = len(MESSAGE_FEATURES)
    assert without.inputs[NUMBERS][:, :sixteen].tolist() == known[:, :sixteen].tolist()
    defaults = [feature.default for feature in NUMERIC_FEATURES[sixteen:]]
    assert (without.inputs[NUMBERS][:, sixteen:] == defaults).all()
    assert (rows.inputs[NUMBERS] == known).all()


def test_data_set_of_a_home_is_read_once_its_history_is_made(some_messages: pa.Table, tmp_path: Path) -> None:
    """Each thing that is missing is named with what to run; then rows carry the history of their own date."""
    workload, home = find("spam-detector"), Home(tmp_path)
    assert workload.materialize is not None
    with pytest.raises(CorpusMissing):
        workload.load(home)
    _keep(some_messages.slice(0, 100), home.corpus)
    with pytest.raises(HistoryMissing) as missing:
        workload.load(home)
    assert missing.value.next_step == "Run: sluice features materialize"
    workload.materialize(home)
    _keep(some_messages, home.corpus)
    with pytest.raises(HistoryStale, match="messages of the corpus are not in the sender history"):
        workload.load(home)
    workload.materialize(home)
    data = workload.load(home)
    numbers = dict(zip(NUMERIC_NAMES, data.rows.inputs[NUMBERS].T, strict=True))
    assert data.fingerprint == fingerprint(some_messages)
    assert data.rows.inputs[NUMBERS].shape == (some_messages.num_rows, len(NUMERIC_NAMES))
    assert 0 < (numbers["sender_message_count"] > 0).mean() < 1
    assert numbers["domain_spam_ratio"].max() > 0.5
    again = workload.load(home)
    assert again.rows.inputs[NUMBERS].tolist() == data.rows.inputs[NUMBERS].tolist()
    assert _texts(again) == _texts(data)


def _texts(data: Dataset) -> Sequence[str]:
    return [str(text) for text in data.rows.inputs[TEXT][:, 0]]


def _keep(corpus: pa.Table, folder: Path) -> None:
    """Writes a corpus as `sluice data fetch` does."""
    names = corpus["label"].to_pylist()
    counts = store.Counts(
        read=corpus.num_rows,
        kept=corpus.num_rows,
        quarantined=0,
        repeated=0,
        reasons={},
        labels={name: names.count(name) for name in sorted(set(names))},
        groups={},
    )
    manifest = store.Manifest(
        format_version=store.FORMAT_VERSION,
        request={},
        fingerprint=fingerprint(corpus),
        counts=counts,
        sha256={},
        fetched_at="2026-11-21T00:00:00Z",
    )
    empty = pa.table({"reason": pa.array([], pa.string())})
    store.write(folder, corpus, empty, manifest)


HEAD = "sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm,species"


def test_flowers_that_people_named_since_join_those_of_the_library(tmp_path: Path) -> None:
    """The fingerprint tells the two apart, and so does what `load` writes, by which steps know new data."""
    home, workload = Home(tmp_path), find("iris")
    assert workload.fetch is not None
    before, told = workload.load(home), workload.fetch(home)
    file = iris.labelled_file(home)
    file.parent.mkdir()
    file.write_text(f"{HEAD}\n6.5,3.5,1.9,0.4,setosa\n9.1,4.1,7.7,2.9,virginica\n")
    after = workload.load(home)
    assert (len(before.rows), len(after.rows)) == (150, 152)
    assert after.rows.labels[-2:].tolist() == [0, 2]
    assert after.rows.inputs["features"][-1].tolist() == pytest.approx([9.1, 4.1, 7.7, 2.9])
    assert before.fingerprint != after.fingerprint
    assert workload.fetch(home) != told
    assert workload.fetch(home)["labelled since"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must begin with the line"),
        ("a,b\n", "must begin with the line"),
        (f"{HEAD}\n1,2,3,4,rose\n", "in line 2"),
        (f"{HEAD}\n1,2,3,4,setosa\n1,2,3\n", "in line 3"),
        (f"{HEAD}\n1,2,3,nan,setosa\n", "without end in line 2"),
        (f"{HEAD}\n1,2,x,4,setosa\n", "in line 2"),
    ],
)
def test_a_file_of_anything_else_is_refused_with_the_line(tmp_path: Path, text: str, words: str) -> None:
    """Nothing is guessed, and nothing left out."""
    file = iris.labelled_file(Home(tmp_path))
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(iris.FlowersUnusable, match=words):
        find("iris").load(Home(tmp_path))
