"""The share of a text that a model knows: of its tokens, as the graph splits them, those in its terms."""

import pytest

from feature_repo.vocabulary import Vocabulary

WORDS = Vocabulary.of(("meeting", "free prize", "_url"))


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("meeting zzz meeting zzz", 0.5),
        ("prize", 1),
        ("free lunch", 0.5),
        ("_url _url _number", 2 / 3),
        ("Meeting", 0),
        ("", 0),
        ("meeting\u00a0zzz meeting", 0.5),
        ("meeting\x1fmeeting", 0),
    ],
)
def test_known_are_the_tokens_of_the_terms_each_time_they_stand_there(text: str, share: float) -> None:
    """Half of a term is known; tokens end at single spaces only, as in the graph; an empty text has none."""
    assert WORDS.known_share(text) == share


def test_a_model_without_terms_has_no_share() -> None:
    """A model of numbers would otherwise seem to know nothing of any text."""
    assert Vocabulary.of(()).known_share("meeting") is None
    assert Vocabulary.of(()).known_share("") is None
