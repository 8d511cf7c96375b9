"""`spam-detector`: raw e-mail in, spam or ham out; the reference workload.

This file is read by every process that extracts features, so it imports neither Feast nor pandas.
"""

from typing import Final

from contracts.features import NUMERIC_NAMES, SCHEMA_DIGEST, TEXT_TERMS
from contracts.labels import Label
from contracts.tensors import PREDICTOR_INPUTS, PREDICTOR_OUTPUTS, SPAM_DETECTOR
from kit.home import Home
from training.estimators.text_trees import TextTrees
from training.workload import Choice, Dataset, ModelContract, Uniform, Whole, Workload
from training.workloads.spam_detector.edges import edge_inputs
from training.workloads.spam_detector.sources import fetch, materialize, validate

TEXT: Final = PREDICTOR_INPUTS[0].name
NUMBERS: Final = PREDICTOR_INPUTS[1].name


def workload() -> Workload:
    """Returns the workload."""
    return Workload(
        contract=ModelContract(
            name=SPAM_DETECTOR,
            inputs=PREDICTOR_INPUTS,
            outputs=PREDICTOR_OUTPUTS,
            classes=tuple(label.value for label in sorted(Label, key=lambda label: label.class_index)),
            schema_digest=SCHEMA_DIGEST,
            input_columns={NUMBERS: NUMERIC_NAMES},
        ),
        estimator=TextTrees(text=TEXT, numbers=NUMBERS, number_names=NUMERIC_NAMES, terms=TEXT_TERMS),
        load=load,
        search_space={
            "terms": Choice(("weight", "chi2", "frequency")),
            "min_df": Choice((3, 5, 10)),
            "ngrams": Choice((1, 2)),
            "learning_rate": Uniform(0.02, 0.3, log=True),
            "max_depth": Whole(3, 12),
            "n_estimators": Whole(200, 1500, log=True),
            "subsample": Uniform(0.5, 1.0),
            "colsample_bytree": Uniform(0.05, 0.6, log=True),
            "min_child_weight": Uniform(0.5, 10.0, log=True),
            "reg_lambda": Uniform(0.1, 20.0, log=True),
            "reg_alpha": Uniform(0.001, 5.0, log=True),
            "scale_pos_weight": Uniform(0.5, 4.0, log=True),
        },
        defaults={
            "terms": "weight",
            "min_df": 5,
            "ngrams": 1,
            "learning_rate": 0.05,
            "max_depth": 8,
            "n_estimators": 1200,
            "early_stopping_rounds": 40,
            "subsample": 0.7,
            "colsample_bytree": 0.1,
            "min_child_weight": 1.0,
            "reg_lambda": 1.0,
            "reg_alpha": 0.001,
            "scale_pos_weight": 1.0,
            "max_bin": 64,
        },
        floors={"f1": 0.95},
        edge_inputs=edge_inputs,
        fetch=fetch,
        validate=validate,
        materialize=materialize,
    )


def load(home: Home) -> Dataset:
    """Returns the data set of this home; see `dataset.load`."""
    from training.workloads.spam_detector.dataset import load as loaded

    return loaded(home)
