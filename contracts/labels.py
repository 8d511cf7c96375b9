"""The two answers of the reference workload, as the corpus, the feedback and the model write them."""

from enum import StrEnum


class Label(StrEnum):
    """A verdict on one e-mail; the model's class index is 1 for spam and 0 for ham."""

    HAM = "ham"
    SPAM = "spam"

    @property
    def class_index(self) -> int:
        """The class index in the model's `label` and `probabilities` outputs."""
        return 1 if self is Label.SPAM else 0
