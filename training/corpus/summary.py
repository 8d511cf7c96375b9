"""What a corpus is like, in numbers: the one computation behind its description and its validation."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from contracts.corpus import DATE, GROUP, LABEL, RAW, SENDER_DOMAIN, SHA256
from contracts.labels import Label
from feature_repo.message import MessageLimits, parse
from training.corpus.duplicates import Clusters
from training.corpus.store import Counts, Manifest

TOP: Final = 15
"""Sender domains and clusters that are listed."""

_LENGTH_QUANTILES: Final = {"minimum": 0.0, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75,
                            "most": 0.95, "maximum": 1.0}  # fmt: skip


class Frozen(BaseModel):
    """A part of a summary."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Dates(Frozen):
    """When the messages were sent; `months` counts each class by `YYYY-MM`."""

    dated: int
    share: float
    first: datetime | None
    last: datetime | None
    months: dict[str, dict[str, int]]


class Duplicates(Frozen):
    """Copies: `messages` less `clusters` could be left out without losing a text."""

    clusters: int
    copies: int
    share: float
    largest: list["Cluster"]


class Cluster(Frozen):
    """Messages that are copies of each other, and the subject of one of them."""

    name: str
    size: int
    labels: dict[str, int]
    subject: str


class Domain(Frozen):
    """A sender domain, and how much of its mail is spam."""

    domain: str
    messages: int
    spam: int


class Summary(Frozen):
    """A corpus in numbers; lengths are quantiles of each class, `most` is the 95th per cent."""

    fingerprint: str
    messages: int
    source: Counts
    labels: dict[str, int]
    groups: dict[str, dict[str, int]]
    dates: Dates
    bytes: dict[str, dict[str, int]]
    tokens: dict[str, dict[str, int]]
    empty_texts: int
    duplicates: Duplicates
    sender_domains: int
    top_domains: list[Domain]

    def label_share(self, label: Label) -> float:
        """Returns the share of one class."""
        return self.labels.get(label, 0) / self.messages


def summarise(corpus: pa.Table, manifest: Manifest, clusters: Clusters, limits: MessageLimits) -> Summary:
    """Returns the numbers of a corpus with at least one row, whose messages are read within `limits`."""
    labels = corpus[LABEL].to_pylist()
    sizes = [len(raw) for raw in corpus[RAW].to_pylist()]
    return Summary(
        fingerprint=manifest.fingerprint,
        messages=corpus.num_rows,
        source=manifest.counts,
        labels=_counted(labels),
        groups=_by(corpus[GROUP].to_pylist(), labels),
        dates=_dates(corpus[DATE].to_pylist(), labels),
        bytes=_quantiles(sizes, labels),
        tokens=_quantiles(clusters.token_counts, labels),
        empty_texts=sum(count == 0 for count in clusters.token_counts),
        duplicates=_duplicates(corpus, clusters, limits),
        sender_domains=len(set(corpus[SENDER_DOMAIN].to_pylist()) - {""}),
        top_domains=_top_domains(corpus[SENDER_DOMAIN].to_pylist(), labels),
    )


def _counted(values: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _by(keys: Sequence[str], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for key, label in zip(keys, labels, strict=True):
        found[key][label] += 1
    return {key: dict(sorted(found[key].items())) for key in sorted(found)}


def _dates(dates: Sequence[datetime | None], labels: Sequence[str]) -> Dates:
    known = [(date, label) for date, label in zip(dates, labels, strict=True) if date is not None]
    when = [date for date, _ in known]
    return Dates(
        dated=len(known),
        share=len(known) / len(dates),
        first=min(when, default=None),
        last=max(when, default=None),
        months=_by([f"{date:%Y-%m}" for date in when], [label for _, label in known]),
    )


def _quantiles(values: Sequence[int], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    numbers, classes = np.asarray(values), np.asarray(labels)
    return {
        label: {
            name: round(float(np.quantile(numbers[classes == label], share)))
            for name, share in _LENGTH_QUANTILES.items()
        }
        for label in sorted(set(labels))
    }


def _duplicates(corpus: pa.Table, clusters: Clusters, limits: MessageLimits) -> Duplicates:
    members = _by(clusters.names, corpus[LABEL].to_pylist())
    sizes = sorted(((-sum(labels.values()), name) for name, labels in members.items()))
    ids = {identity: row for row, identity in enumerate(corpus[SHA256].to_pylist())}
    largest = [(name, -size) for size, name in sizes[:TOP] if -size > 1]
    copies = corpus.num_rows - len(members)
    return Duplicates(
        clusters=len(members),
        copies=copies,
        share=copies / corpus.num_rows,
        largest=[
            Cluster(
                name=name,
                size=size,
                labels=members[name],
                subject=parse(corpus[RAW][ids[name]].as_py(), limits).subject,
            )
            for name, size in largest
        ],
    )


def _top_domains(domains: Sequence[str], labels: Sequence[str]) -> list[Domain]:
    found = _by(domains, labels)
    found.pop("", None)
    most = sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:TOP]
    return [
        Domain(domain=name, messages=sum(counts.values()), spam=counts.get(Label.SPAM, 0))
        for name, counts in most
    ]
