"""The tokens that a model knows: how much of a text it can see at all.

Training writes the share of known tokens into the reference of a bundle and serving records it with each
answer; both call this, so that drift compares like with like.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of a model's terms; a term of two tokens makes both of them known."""

    tokens: frozenset[str]

    @classmethod
    def of(cls, terms: Iterable[str]) -> Self:
        """Returns the vocabulary of a model with these terms, each of tokens with single spaces between."""
        return cls(frozenset(token for term in terms for token in term.split(" ")))

    def known_share(self, text: str) -> float | None:
        """Returns the share of the tokens of `text` that are known: 0 of an empty text.

        None if the model has no terms: it reads no text, and a share would say nothing.
        """
        if not self.tokens:
            return None
        if not text:
            return 0.0
        tokens = text.split(" ")
        return sum(map(self.tokens.__contains__, tokens)) / len(tokens)
