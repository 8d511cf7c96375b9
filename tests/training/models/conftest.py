"""A few hundred real messages as rows, and models fitted on them once for all tests of this folder."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from contracts import corpus as column
from contracts.features import SENDER_FEATURES
from feature_repo.settings import FeatureRepoSettings
from kit.home import Home
from training.corpus.splits import SHARES
from training.estimators.boosted_trees import BoostedTrees
from training.estimators.text_features import TextFeatures
from training.workload import Dataset, Indices, Matrix, Rows, Workload
from training.workloads import find
from training.workloads.spam_detector.dataset import dataset
from training.workloads.spam_detector.extraction import extracted

MESSAGES = 360
PARAMETERS = {
    "terms": "weight",
    "min_df": 3,
    "ngrams": 2,
    "n_estimators": 60,
    "early_stopping_rounds": 10,
    "learning_rate": 0.3,
    "max_depth": 4,
    "nthread": 1,
}


class FittedModel(NamedTuple):
    """A workload, its rows, and an estimator fitted on the first 70 % of them."""

    workload: Workload
    rows: Rows
    train: Indices
    validation: Indices
    featuriser: TextFeatures
    matrix: Matrix
    fitted: BoostedTrees


@pytest.fixture(scope="session")
def some_messages(corpus: pa.Table) -> pa.Table:
    """Every seventeenth message of the reference corpus."""
    return corpus.take(np.linspace(0, corpus.num_rows - 1, MESSAGES, dtype=int))


@pytest.fixture(scope="session")
def mails(some_messages: pa.Table) -> Dataset:
    """The data set of those messages, every sender unknown and no message a copy of another."""
    settings = FeatureRepoSettings.load()
    unknown = np.array([feature.default for feature in SENDER_FEATURES], dtype=np.float32)
    return dataset(
        some_messages,
        extracted(some_messages[column.RAW].to_pylist(), settings),
        np.tile(unknown, (MESSAGES, 1)),
        some_messages[column.SHA256].to_pylist(),
        "sha256:some",
        settings,
    )


@pytest.fixture(scope="session")
def mail_model(mails: Dataset) -> FittedModel:
    """The real estimator of spam-detector, fitted on real messages as the platform does it."""
    workload = find("spam-detector")
    first, second = int(SHARES[0] * MESSAGES), int((SHARES[0] + SHARES[1]) * MESSAGES)
    train, validation = np.arange(first), np.arange(first, second)
    featuriser = workload.estimator.fit_featuriser(PARAMETERS, mails.rows.take(train))
    matrix = featuriser.matrix(mails.rows.inputs)
    labels = mails.rows.labels
    fitted = workload.estimator.fit(
        PARAMETERS,
        matrix[train],
        labels[train],
        validation=(matrix[validation], labels[validation]),
        seed=1,
    )
    assert isinstance(featuriser, TextFeatures)
    assert isinstance(fitted, BoostedTrees)
    return FittedModel(workload, mails.rows, train, validation, featuriser, matrix, fitted)


@pytest.fixture(scope="session")
def flowers() -> tuple[Workload, Dataset, Any, Any]:
    """The iris workload: workload, data set, featuriser, and a forest fitted on its training rows."""
    workload = find("iris")
    data = workload.load(Home(Path("nowhere")))
    train = data.rows.take(data.split(1).train)
    featuriser = workload.estimator.fit_featuriser(workload.defaults, train)
    fitted = workload.estimator.fit(workload.defaults, featuriser.matrix(train.inputs), train.labels, seed=1)
    return workload, data, featuriser, fitted
