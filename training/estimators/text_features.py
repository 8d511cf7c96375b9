"""Text and numbers to one matrix: TF-IDF of chosen terms, then the numbers as they are.

The text holds tokens with single spaces between, so scikit-learn and ONNX Runtime see the same tokens.
Weights are counts times idf, without a norm: over 500 chosen terms a norm says how many other chosen terms
there are, and trees do better without it (docs/model-quality.md). `sublinear_tf` is not used: skl2onnx
converts it wrongly (docs/bundle.md).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import TERM_PREFIX
from feature_repo.vocabulary import Vocabulary
from kit.files import replaced, write_text
from kit.onnx_function import OnnxFunction
from training.estimators.graph import FEATURES, text_and_numbers_graph
from training.workload import Matrix

TOKENS: Final = {"token_pattern": r"[^ ]+", "lowercase": False}
"""How scikit-learn's vectorisers split: on single spaces only, as the Tokenizer in the graph does."""

_FACTS: Final = "features.json"
_GRAPH: Final = "features.onnx"


@dataclass(frozen=True)
class TextFeatures:
    """A fitted vectoriser and the graph that it was exported to; T terms and C numbers make F columns."""

    text: str
    """The name of the text input, BYTES [N, 1]."""
    numbers: str
    """The name of the input of numbers, FP32 [N, C]."""
    number_names: tuple[str, ...]
    terms: tuple[str, ...]
    idf: tuple[float, ...]
    graph: OnnxFunction

    @classmethod
    def fit(
        cls, documents: Sequence[str], terms: Sequence[str], *, text: str, numbers: str, names: Sequence[str]
    ) -> Self:
        """Returns the features fitted on training `documents`, with one column for each of `terms`."""
        vectoriser = _vectoriser(terms)
        vectoriser.fit(documents)
        graph = text_and_numbers_graph(vectoriser, text, numbers, len(names))
        return cls(
            text=text,
            numbers=numbers,
            number_names=tuple(names),
            terms=tuple(terms),
            idf=tuple(float(value) for value in vectoriser.idf_),
            graph=OnnxFunction(graph.SerializeToString()),
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`term:<term>` for each term, then the names of the numbers."""
        return (*(f"{TERM_PREFIX}{term}" for term in self.terms), *self.number_names)

    def matrix(self, inputs: Mapping[str, NDArray[Any]]) -> Matrix:
        """Returns float32 [N, F], computed by ONNX Runtime on the exported graph."""
        wanted = {name: inputs[name] for name in (self.text, self.numbers)}
        return np.asarray(self.graph(wanted)[FEATURES], dtype=np.float32)

    def fitted_matrix(self, inputs: Mapping[str, NDArray[Any]]) -> Matrix:
        """Returns float32 [N, F] as scikit-learn computes it; it differs from `matrix` in the last bits."""
        weights = self._fitted.transform(inputs[self.text][:, 0])
        return np.hstack([weights.toarray().astype(np.float32), inputs[self.numbers]])

    def known_shares(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Returns float64 [N]: the share of each text's tokens that stand in one of the terms."""
        vocabulary = Vocabulary.of(self.terms)
        return np.array([vocabulary.known_share(text) for text in inputs[self.text][:, 0]], dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Writes the graph and what scikit-learn needs into `folder`."""
        facts = {
            "text": self.text,
            "numbers": self.numbers,
            "number_names": self.number_names,
            "terms": self.terms,
            "idf": self.idf,
        }
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / _FACTS, json.dumps(facts, ensure_ascii=False))
        with replaced(folder / _GRAPH) as part:
            part.write_bytes(self.graph.model)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Returns what `save` wrote."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        return cls(
            text=facts["text"],
            numbers=facts["numbers"],
            number_names=tuple(facts["number_names"]),
            terms=tuple(facts["terms"]),
            idf=tuple(facts["idf"]),
            graph=OnnxFunction((folder / _GRAPH).read_bytes()),
        )

    @cached_property
    def _fitted(self) -> Any:
        vectoriser = _vectoriser(self.terms)
        vectoriser.idf_ = np.asarray(self.idf)
        return vectoriser


def _vectoriser(terms: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    lengths = {term.count(" ") + 1 for term in terms}
    return TfidfVectorizer(
        **TOKENS, vocabulary=list(terms), ngram_range=(min(lengths), max(lengths)), norm=None
    )
