"""Which model version answers: verified before it does, changed in one step, left when nobody needs it.

A candidate is made beside the version that serves: its bundle is checked byte by byte, what Triton tells of
that version is held against the contract, and golden rows must be answered through the wire as the bundle's
own graph answers them. A request keeps the version that it began with.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Histogram

from contracts.bundle import BundleContract
from contracts.features import SCHEMA_DIGEST
from contracts.routes import Route
from contracts.tensors import PREDICTOR_INPUTS, PREDICTOR_OUTPUTS
from feature_repo.vocabulary import Vocabulary
from kit import bundle as bundles
from kit.bundle import Bundle
from kit.coalescing import Coalescer
from serving import golden
from serving.explanations import Explainer
from serving.extraction import NUMERIC, TEXT
from serving.transformer import MODEL
from serving.transformer.errors import PredictorFailed
from serving.transformer.predictor import Predictor, PredictorRow
from serving.transformer.settings import TransformerSettings

_VERIFY_SECONDS = 10.0

Prediction = tuple[np.int64, NDArray[np.float32]]
"""What the model says of one row: `label`, and `probabilities` [classes]."""


@dataclass(frozen=True)
class Target:
    """A version that is to be served, and where Triton has it."""

    version: str
    bundle: Path
    digest: str | None
    triton_http: str

    @classmethod
    def of(cls, route: Route) -> "Target":
        """Returns the target that a route names."""
        return cls(route.version, route.bundle, route.bundle_digest, route.triton_http)


@dataclass(eq=False)
class Served:
    """A verified version."""

    target: Target
    bundle: Bundle
    vocabulary: Vocabulary
    predictor: Predictor
    rows: Coalescer[PredictorRow, Prediction]
    in_flight: int = 0
    explainer: Explainer | None = None
    """Made when the first explanation is asked for."""

    @property
    def version(self) -> str:
        """The registry's number."""
        return self.target.version

    @property
    def model(self) -> str:
        """The name of the model, here and in Triton."""
        return self.bundle.contract.workload

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Counts a request that must end on this version."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


class Loader:
    """Makes verified versions."""

    def __init__(self, settings: TransformerSettings, seconds: Histogram, rows: Histogram) -> None:
        self._settings = settings
        self._seconds = seconds
        self._rows = rows

    async def served(self, target: Target, former: Served | None) -> Served:
        """Returns the version, verified through the wire; the connection of `former` is used if it fits.

        Raises:
            BundleDamaged: the bundle is not what was registered.
            Refused: it takes other features, or Triton's tensors or answers are not the bundle's.
            OperationalError: Triton does not answer, or does not have the version yet.
        """
        bundle = await asyncio.to_thread(bundles.load, target.bundle, digest=target.digest)
        require_our_features(bundle.contract)
        if former is not None and former.predictor.address == target.triton_http:
            predictor = former.predictor
        else:
            predictor = Predictor(target.triton_http, self._seconds, self._rows)
        try:
            await verify(bundle, target.version, predictor, self._settings.rows_per_call)
        except BaseException:
            if former is None or predictor is not former.predictor:
                await predictor.close()
            raise
        model = bundle.contract.workload

        async def ask(rows: Sequence[PredictorRow], deadline: float) -> list[Prediction]:
            labels, probabilities = await predictor.infer(model, target.version, rows, deadline)
            return list(zip(labels, probabilities, strict=True))

        return Served(
            target=target,
            bundle=bundle,
            vocabulary=Vocabulary.of(bundle.contract.terms),
            predictor=predictor,
            rows=Coalescer(
                ask,
                most=self._settings.rows_per_call,
                calls=self._settings.calls_at_once,
                divisible=PredictorFailed,
            ),
        )


def require_our_features(contract: BundleContract) -> None:
    """Returns if a bundle takes what this transformer makes.

    Raises:
        ContractMismatch: it is of another model, or was trained on other features.
    """
    reasons = []
    if contract.workload != MODEL:
        reasons.append(f"The bundle is of {contract.workload}, and this is a transformer of {MODEL}.")
    if (contract.inputs, contract.outputs) != (PREDICTOR_INPUTS, PREDICTOR_OUTPUTS):
        reasons.append("Its tensors are not those of contracts/tensors.py.")
    if contract.schema_digest != SCHEMA_DIGEST:
        reasons.append("It was trained on another list of features than contracts/features.py has now.")
    if reasons:
        raise golden.ContractMismatch(
            "The bundle does not take what the transformer makes.",
            reasons=reasons,
            next_step="Train a version with this code, or run the code that the bundle was trained with.",
        )


async def verify(bundle: Bundle, version: str, predictor: Predictor, rows_per_call: int) -> None:
    """Holds what Triton says of `version`, and what it answers, against the bundle.

    Raises:
        Refused: something differs.
        OperationalError: Triton does not answer, or does not have the version.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _VERIFY_SECONDS
    model = bundle.contract.workload
    metadata = await predictor.metadata(model, version, deadline)
    golden.conformance(bundle.contract, metadata)

    async def asked(inputs: golden.Arrays) -> golden.Arrays:
        rows = predictor_rows([str(text) for text in inputs[TEXT].ravel()], inputs[NUMERIC])
        parts = [
            await predictor.infer(model, version, rows[at : at + rows_per_call], deadline)
            for at in range(0, len(rows), rows_per_call)
        ]
        labels, probabilities = zip(*parts, strict=True)
        return {"label": np.concatenate(labels), "probabilities": np.concatenate(probabilities)}

    def infer(inputs: golden.Arrays) -> golden.Arrays:
        return asyncio.run_coroutine_threadsafe(asked(inputs), loop).result()

    await asyncio.to_thread(golden.check, bundle, infer)


def predictor_rows(texts: Sequence[str], numeric: NDArray[Any]) -> list[PredictorRow]:
    """Returns the rows of the wire for `texts` and float32 [N, 24]."""
    numbers = np.ascontiguousarray(numeric, dtype="<f4")
    return [PredictorRow(text.encode(), row.tobytes()) for text, row in zip(texts, numbers, strict=True)]
