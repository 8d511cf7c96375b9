"""The corpus as the platform's data set: rows as the model gets them, splits, slices, evasions."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contracts import corpus as column
from contracts.features import MESSAGE_FEATURES, NUMERIC_NAMES, SENDER_FEATURES
from contracts.labels import Label
from contracts.tensors import PREDICTOR_INPUTS
from feature_repo.settings import FeatureRepoSettings
from kit.home import Home
from training.corpus.duplicates import clusters_of
from training.corpus.splits import Split, random_split, rows_of, time_split
from training.corpus.store import load as load_corpus
from training.workload import Dataset, Indices, Mask, Rows, Splits
from training.workloads.spam_detector.evasion import EVASIONS, typical_words
from training.workloads.spam_detector.extraction import STATISTICS, Extracted, extracted, extracted_once
from training.workloads.spam_detector.history import sender_numbers_of

TEXT: Final = PREDICTOR_INPUTS[0].name
NUMBERS: Final = PREDICTOR_INPUTS[1].name

SHORT_TOKENS: Final = 50
LONG_TOKENS: Final = 500
_HTML_ONLY: Final = 0.99


def load(home: Home) -> Dataset:
    """Returns the data set of this home.

    Raises:
        CorpusMissing, HistoryMissing, HistoryStale: `next_step` says what to run first.
        TooFewMessages: when it is split.
    """
    settings = FeatureRepoSettings.load()
    corpus, manifest = load_corpus(home.corpus)
    history = sender_numbers_of(corpus, home, settings)
    messages = extracted_once(corpus, home.corpus, settings)
    clusters = clusters_of(corpus, home.corpus, settings).names
    return dataset(corpus, messages, history, clusters, manifest.fingerprint, settings)


def dataset(
    corpus: pa.Table,
    messages: Extracted,
    history: NDArray[np.float32],
    clusters: Sequence[str],
    fingerprint: str,
    settings: FeatureRepoSettings,
) -> Dataset:
    """Returns the data set of N messages; `history` is float32 [N, 8], `clusters` one name for each row."""
    names = corpus[column.LABEL].to_pylist()
    ids = corpus[column.SHA256].to_pylist()
    rows = _rows(messages, history, _labels(names), ids)
    statistics = dict(zip(STATISTICS, messages.statistics.T, strict=True))
    # The same rows are evaded in one way after the other.
    words = lru_cache(maxsize=1)(partial(_words_besides, rows))
    return Dataset(
        rows=rows,
        fingerprint=fingerprint,
        # Seconds each, and asked for by the checks and by the snapshot.
        split=cache(lambda seed: _splits(random_split(ids, names, clusters, seed=seed))),
        split_by_time=lambda: _splits(time_split(corpus[column.DATE].to_pylist(), clusters)),
        slices=_slices(rows, statistics["text_token_count"], corpus[column.GROUP].to_pylist()),
        titles=messages.subjects,
        groups=list(clusters),
        ablations={"without_sender_history": without_sender_history},
        perturbations={name: partial(_evaded, name, corpus, rows, settings, words) for name in EVASIONS},
        reference=statistics,
    )


def without_sender_history(rows: Rows) -> Rows:
    """Returns the rows with every sender unknown."""
    numbers = rows.inputs[NUMBERS].copy()
    numbers[:, len(MESSAGE_FEATURES) :] = [feature.default for feature in SENDER_FEATURES]
    return Rows({**rows.inputs, NUMBERS: numbers}, rows.labels, rows.ids)


def _words_besides(rows: Rows, indices: tuple[int, ...]) -> tuple[str, ...]:
    """Returns what is typical of wanted mail in the rows that are not at `indices`."""
    others = np.setdiff1d(np.arange(len(rows)), indices)
    return typical_words(rows.inputs[TEXT][others, 0], rows.labels[others] == Label.HAM.class_index)


def _evaded(
    name: str, corpus: pa.Table, rows: Rows, settings: FeatureRepoSettings,
    words_besides: Callable[[tuple[int, ...]], tuple[str, ...]], indices: Indices,
) -> Rows:  # fmt: skip
    """Returns the messages at `indices` after an evasion, parsed and extracted anew; the sender stays."""
    wanted = rows.take(indices)
    words = words_besides(tuple(indices.tolist()))
    raws = corpus[column.RAW].take(pa.array(indices)).to_pylist()
    messages = extracted([EVASIONS[name](raw, words) for raw in raws], settings)
    history = wanted.inputs[NUMBERS][:, len(MESSAGE_FEATURES) :]
    return _rows(messages, history, wanted.labels, wanted.ids)


def _rows(
    messages: Extracted,
    history: NDArray[np.float32],
    labels: NDArray[np.int64],
    ids: Sequence[str] | NDArray[np.str_],
) -> Rows:
    numbers = np.hstack([messages.numbers, history])
    return Rows({TEXT: messages.texts, NUMBERS: numbers}, labels, np.asarray(ids, dtype=np.str_))


def _labels(names: Sequence[str]) -> NDArray[np.int64]:
    return np.array([Label(name).class_index for name in names], dtype=np.int64)


def _splits(of_rows: Sequence[Split]) -> Splits:
    return Splits(*(rows_of(of_rows, part) for part in (Split.TRAIN, Split.VALIDATION, Split.TEST)))


def _slices(rows: Rows, token_counts: NDArray[np.float64], groups: Sequence[str]) -> Mapping[str, Mask]:
    numbers = dict(zip(NUMERIC_NAMES, rows.inputs[NUMBERS].T, strict=True))
    of_group = np.asarray(groups)
    slices = {f"group:{name}": of_group == name for name in sorted(set(groups))}
    return slices | {
        "length:short": token_counts < SHORT_TOKENS,
        "length:medium": (token_counts >= SHORT_TOKENS) & (token_counts < LONG_TOKENS),
        "length:long": token_counts >= LONG_TOKENS,
        "html_only": numbers["html_share"] >= _HTML_ONLY,
        "unknown_sender": numbers["sender_message_count"] == 0,
        "has_links": numbers["link_count"] > 0,
    }
