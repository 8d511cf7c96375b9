"""What the parts agree on holds together."""

import ast
import sys
from pathlib import Path

import pytest

import contracts
from contracts import features, metrics, tensors
from contracts.labels import Label


def test_there_are_524_features_in_the_agreed_order() -> None:
    """10 header, 6 structure and 8 sender numbers, and 500 terms."""
    families = [feature.family for feature in features.NUMERIC_FEATURES]
    expected = ["header"] * 10 + ["structure"] * 6 + ["sender"] * 8
    assert families == expected
    assert len(families) + features.TEXT_TERMS == 524


def test_names_are_unique_and_defaults_are_within_bounds() -> None:
    """A column is named once, and an unknown sender is a possible sender."""
    assert len(set(features.NUMERIC_NAMES)) == len(features.NUMERIC_NAMES)
    for feature in features.NUMERIC_FEATURES:
        assert feature.low <= feature.default <= feature.high, feature.name
        assert feature.sentence.endswith("."), feature.name


def test_the_schema_digest_moves_with_a_bound_and_not_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model is bound to what changes its input, and not to prose."""
    first, *rest = features.NUMERIC_FEATURES
    prose = first.model_copy(update={"sentence": "In other words."})
    monkeypatch.setattr(features, "NUMERIC_FEATURES", (prose, *rest))
    assert features._schema_digest() == features.SCHEMA_DIGEST
    bound = first.model_copy(update={"high": first.high + 1})
    monkeypatch.setattr(features, "NUMERIC_FEATURES", (bound, *rest))
    assert features._schema_digest() != features.SCHEMA_DIGEST


def test_the_predictor_takes_the_numbers_of_the_feature_contract() -> None:
    """The tensor is as wide as the list."""
    numeric = next(tensor for tensor in tensors.PREDICTOR_INPUTS if tensor.name == "numeric")
    assert numeric.shape == (len(features.NUMERIC_NAMES),)


def test_spam_is_class_one() -> None:
    """The second probability is that of spam."""
    assert (Label("ham").class_index, Label("spam").class_index) == (0, 1)


def test_metric_names_follow_the_conventions() -> None:
    """Counters end in _total, nothing else does, and no name stands twice."""
    names = [metric.name for metric in metrics.METRICS]
    assert len(set(names)) == len(names)
    for metric in metrics.METRICS:
        assert metric.name.endswith("_total") == (metric.kind is metrics.Kind.COUNTER), metric.name
        assert bool(metric.buckets) == (metric.kind is metrics.Kind.HISTOGRAM), metric.name


def test_contracts_import_the_standard_library_and_pydantic_only() -> None:
    """Pure data can be read by any process, whatever it has installed."""
    allowed = set(sys.stdlib_module_names) | {"pydantic", "contracts"}
    for path in Path(contracts.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert {name.partition(".")[0] for name in names} <= allowed, path
