"""`spam-detector` in one process: e-mails in, scores out; extraction and ONNX Runtime, no server.

The gateway's embedded backend answers by it where there is no Triton. It calls the same extraction, the same
graph and the same rule of the verdict as the transformer does, so its answers are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.explanations import Explanation
from contracts.facts import Facts
from contracts.features import SCHEMA_DIGEST
from contracts.tensors import PREDICTOR_INPUTS, PREDICTOR_OUTPUTS
from feature_repo.sender_numbers import SenderHistories, SenderHistory, unknown_history
from feature_repo.settings import FeatureRepoSettings
from feature_repo.vocabulary import Vocabulary
from kit.bundle import Bundle
from kit.errors import UsageError
from kit.onnx_function import OnnxFunction
from serving.explanations import TOP, Explainer
from serving.extraction import (
    NUMERIC,
    TEXT,
    Extracted,
    extract_element,
    extract_raw,
    extract_structured,
    model_inputs,
)
from serving.extraction import structured as read_structured
from serving.facts import facts, text_statistics
from serving.verdicts import verdicts

__all__ = ["Extracted", "Scorer", "Scores"]


@dataclass(frozen=True)
class Scores:
    """What the model says of N e-mails, in the order in which they were given."""

    probabilities: NDArray[np.float32]
    """Float32 [N, 2], in the order of the contract's classes."""
    labels: NDArray[np.int64]
    """Int64 [N]: the class of the largest probability."""
    verdicts: tuple[str, ...]
    """The class that the bundle's threshold decides for."""
    numeric: NDArray[np.float32]
    """Float32 [N, 24]: the numbers that the model saw."""
    texts: tuple[str, ...]
    """The tokens that the model saw; they are the content of a message, and are not kept."""
    facts: tuple[Facts, ...]
    """What is to be remembered of each."""


class Scorer:
    """Scores e-mails by one bundle; one object serves many threads."""

    def __init__(
        self, bundle: Bundle, settings: FeatureRepoSettings, senders: SenderHistories | None = None
    ) -> None:
        """Opens the graph. Without `senders` every sender is unknown.

        Raises:
            UsageError: the bundle is of a model with other inputs or outputs, or of other features.
        """
        contract = bundle.contract
        if contract.inputs != PREDICTOR_INPUTS or contract.outputs != PREDICTOR_OUTPUTS:
            raise UsageError(
                f"The model {contract.workload} does not take what is extracted from an e-mail.",
                next_step="Ask Triton for it.",
            )
        if contract.schema_digest != SCHEMA_DIGEST:
            raise UsageError(
                f"The bundle of {contract.workload} was trained on another list of features than this one.",
                next_step="Train a version with this code, or run the code that the bundle was trained with.",
            )
        self.bundle = bundle
        self._settings = settings
        self._senders = senders
        self._vocabulary = Vocabulary.of(contract.terms)
        self._graph = OnnxFunction(bundle.model.read_bytes())
        self._graph.session  # noqa: B018 - opened here, and not by the first of many threads

    def score(self, emails: Sequence[bytes], at: datetime) -> Scores:
        """Returns the scores of e-mails, each raw (RFC 5322) or structured (JSON), as of the instant `at`.

        Raises:
            EmailRefused: a structured e-mail is none.
            OnlineStoreUnavailable: by `senders`; score again without them, or later.
        """
        return self.scored([extract_element(email, self._settings) for email in emails], at)

    def extracted(self, email: bytes, *, structured: bool | None = None) -> Extracted:
        """Returns what one e-mail decides; `structured` says whether it is JSON, None that it tells itself.

        Raises:
            EmailRefused: it is to be structured, and is not.
        """
        if structured is None:
            return extract_element(email, self._settings)
        if structured:
            return extract_structured(read_structured(email, self._settings), self._settings)
        return extract_raw(email, self._settings)

    def scored(self, messages: Sequence[Extracted], at: datetime) -> Scores:
        """Returns the scores of e-mails that are extracted already.

        Raises:
            OnlineStoreUnavailable: as `score`.
        """
        if self._senders is not None and messages:
            senders = self._senders([message.sender for message in messages], at)
        else:
            senders = unknown_history(len(messages))
        return self.answered(messages, senders)

    def answered(self, messages: Sequence[Extracted], senders: SenderHistory) -> Scores:
        """Returns the scores of e-mails that are extracted, and whose senders' history is known."""
        inputs = model_inputs(messages, senders.numbers)
        answers = self._answers(inputs)
        texts = tuple(message.text for message in messages)
        labels, probabilities = answers["label"], answers["probabilities"]
        return Scores(
            probabilities=probabilities,
            labels=labels,
            verdicts=tuple(verdicts(self.bundle.contract, labels, probabilities)),
            numeric=np.asarray(inputs[NUMERIC], dtype=np.float32),
            texts=texts,
            facts=tuple(
                facts(message, defaulted, text_statistics(message, self._vocabulary), self.bundle.contract)
                for message, defaulted in zip(messages, senders.defaulted.tolist(), strict=True)
            ),
        )

    def explained(self, scores: Scores, *, top: int = TOP) -> list[Explanation]:
        """Returns why each of the e-mails was scored as it was.

        Raises:
            NotExplainable: the bundle has no native form of its estimator.
        """
        texts = np.array(scores.texts, dtype=object).reshape(-1, 1)
        return self._explainer.explain({TEXT: texts, NUMERIC: scores.numeric}, top=top)

    @cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self.bundle)

    def _answers(self, inputs: dict[str, Any]) -> dict[str, NDArray[Any]]:
        count = len(inputs[TEXT])
        if count == 1:
            return self._graph(inputs)
        if not count:  # the graph takes one row or more
            return {
                "label": np.empty(0, dtype=np.int64),
                "probabilities": np.empty((0, len(self.bundle.contract.classes)), dtype=np.float32),
            }
        # A batch is padded to its longest text: texts of like length are run together.
        order = np.argsort([len(text) for text in inputs[TEXT][:, 0]], kind="stable").astype(np.intp)
        answers = self._graph({name: values[order] for name, values in inputs.items()})
        back = np.argsort(order)
        return {name: values[back] for name, values in answers.items()}
