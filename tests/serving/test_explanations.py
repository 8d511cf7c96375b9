"""An explanation adds up to the very answer that the model gave."""

import numpy as np
import pytest

from kit.bundle import Bundle
from serving import golden
from serving.explanations import Explainer, NotExplainable


def test_base_value_and_contributions_add_up_to_the_model_s_probability(mails_1: Bundle) -> None:
    """For every golden row: empty texts, unknown words, large numbers; by ONNX Runtime's answer."""
    rows = golden.rows(mails_1.contract)
    answers = golden.expected(mails_1, rows)["probabilities"][:, 1]
    for explanation, probability in zip(Explainer(mails_1).explain(rows), answers, strict=True):
        parts = sum(each.contribution for each in explanation.top)
        assert explanation.base_value + parts + explanation.rest == pytest.approx(
            explanation.margin, abs=1e-9
        )
        assert 1 / (1 + np.exp(-explanation.margin)) == pytest.approx(probability, abs=1e-6)
        assert explanation.toward == "spam"
        assert explanation.unit == "log_odds"


def test_the_largest_come_first_with_the_names_and_values_that_the_model_saw(mails_1: Bundle) -> None:
    """All of them, if that many are asked for: the rest is then nothing."""
    rows = {name: values[5:6] for name, values in golden.rows(mails_1.contract).items()}
    names = mails_1.contract.feature_names
    explainer = Explainer(mails_1)
    (all_of_them,) = explainer.explain(rows, top=len(names))
    sizes = [abs(each.contribution) for each in all_of_them.top]
    assert sizes == sorted(sizes, reverse=True)
    assert {each.name for each in all_of_them.top} == set(names)
    assert all_of_them.rest == 0
    seen = {each.name: each.value for each in all_of_them.top}
    numbers = [name for name in names if not name.startswith("term:")]
    assert [seen[name] for name in numbers] == rows["numeric"][0].tolist()
    words = set(rows["text"][0, 0].split())
    assert {name for name in names if name.startswith("term:") and seen[name] > 0} == {
        name for name in names if name.removeprefix("term:") in words
    }
    (few,) = explainer.explain(rows, top=3)
    assert few.top == all_of_them.top[:3]
    assert few.margin == all_of_them.margin


def test_no_rows_have_no_explanations(mails_1: Bundle) -> None:
    """The graph takes one row or more."""
    rows = {name: values[:0] for name, values in golden.rows(mails_1.contract).items()}
    assert Explainer(mails_1).explain(rows) == []


def test_bundle_without_a_native_form_says_so(flowers_1: Bundle) -> None:
    """By the names of what it lacks, with what to do."""
    with pytest.raises(NotExplainable, match=r"iris holds no native/features\.onnx") as refused:
        Explainer(flowers_1)
    assert refused.value.status == 422
    assert refused.value.next_step
