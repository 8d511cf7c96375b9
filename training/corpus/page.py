"""The description of a corpus as one HTML page that needs nothing else: no script, no font, no network."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contracts.corpus import LABEL, RAW
from contracts.labels import Label
from training.corpus import plots
from training.corpus.duplicates import Clusters
from training.corpus.printable import printable
from training.corpus.summary import Summary

_TEMPLATE: Final = "page.html.j2"
_GROUPS: Final = 40
_FAR_SHARE: Final = 0.005
"""Dates beyond this share at either end are lies as often as not, and would squeeze the picture."""


class Pictures(NamedTuple):
    """The plots as SVG; `outside` counts the messages that `months` does not show."""

    months: str
    outside: int
    bytes: str
    tokens: str


def render(summary: Summary, pictures: Pictures) -> str:
    """Returns the page; every name and subject in it is hostile text and is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["printable"] = printable
    environment.filters["sum_values"] = _sum_values
    by_size = sorted(summary.groups.items(), key=lambda item: (-_sum_values(item[1]), item[0]))
    return environment.get_template(_TEMPLATE).render(
        summary=summary,
        plots=pictures,
        shown_groups=sorted(by_size[:_GROUPS]),
        spam=Label.SPAM,
        colours={label.value: colour for label, colour in plots.COLOURS.items()},
    )


def pictures_of(corpus: pa.Table, clusters: Clusters, summary: Summary) -> Pictures:
    """Returns the plots of a corpus."""
    labels = corpus[LABEL].to_pylist()
    sizes = [len(raw) for raw in corpus[RAW].to_pylist()]
    months = near_months(summary.dates.months)
    outside = summary.dates.dated - sum(map(_sum_values, months.values()))
    return Pictures(
        months=plots.months(months, "Messages by month") if months else "",
        outside=outside,
        bytes=plots.lengths(_by_label(sizes, labels), "bytes", "Sizes of raw messages"),
        tokens=plots.lengths(_by_label(clusters.token_counts, labels), "tokens", "Tokens of messages"),
    )


def near_months(counts: Mapping[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Returns the months without the far ends, and with the empty months between them."""
    total = sum(map(_sum_values, counts.values()))
    behind = 0
    near = []
    for name, by_label in counts.items():
        before, behind = behind, behind + _sum_values(by_label)
        if behind > _FAR_SHARE * total and before < (1 - _FAR_SHARE) * total:
            near.append(name)
    if not near:
        return {}
    (first_year, first_month), (last_year, last_month) = (map(int, near[end].split("-")) for end in (0, -1))
    every = itertools.product(range(first_year, last_year + 1), range(1, 13))
    inside = [
        f"{year:04}-{month:02}"
        for year, month in every
        if (first_year, first_month) <= (year, month) <= (last_year, last_month)
    ]
    return {name: counts.get(name, {}) for name in inside}


def _by_label(values: list[int], labels: list[str]) -> dict[Label, list[int]]:
    return {
        label: [value for value, found in zip(values, labels, strict=True) if found == label]
        for label in Label
        if label in labels
    }


def _sum_values(counts: Mapping[str, int]) -> int:
    return sum(counts.values())
