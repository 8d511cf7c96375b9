"""Pictures of a corpus as SVG, in colours that are readable on light and on dark ground."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from contracts.labels import Label

COLOURS: Final = {Label.HAM: "#3b82c4", Label.SPAM: "#e07b39"}

# Matplotlib knows no currentColor: this colour is drawn, and replaced in the SVG.
_INK: Final = "#010203"
_SIZE_INCHES: Final = (5.4, 2.8)
_BINS: Final = 40
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none", "svg.hashsalt": "sluice", "font.family": "sans-serif", "font.size": 9,
    "text.color": _INK, "axes.edgecolor": _INK, "axes.labelcolor": _INK, "xtick.color": _INK,
    "ytick.color": _INK, "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": "none",
    "text.parse_math": False, "legend.frameon": False,
}  # fmt: skip


def months(counts: dict[str, dict[str, int]], title: str) -> str:
    """Returns an SVG of messages by month (`YYYY-MM`, ascending), the classes on top of each other."""
    with rc_context(_STYLE):
        figure, axes = _figure()
        names = list(counts)
        bottom = np.zeros(len(names))
        for label in Label:
            heights = np.asarray([counts[name].get(label, 0) for name in names])
            axes.bar(range(len(names)), heights, bottom=bottom, color=COLOURS[label], label=label.value)
            bottom += heights
        step = max(1, -(-len(names) // 8))
        axes.set_xticks(range(0, len(names), step), names[::step], rotation=35, ha="right")
        axes.set_ylabel("messages")
        return _svg(figure, axes, title)


def lengths(values: Mapping[Label, Sequence[int]], unit: str, title: str) -> str:
    """Returns an SVG of how the lengths of each class are distributed, on a logarithmic axis."""
    with rc_context(_STYLE):
        figure, axes = _figure()
        most = max((max(numbers) for numbers in values.values() if len(numbers)), default=1)
        least = min((max(min(numbers), 1) for numbers in values.values() if len(numbers)), default=1)
        edges = np.geomspace(least, max(most, least + 1), _BINS)
        for label, numbers in values.items():
            axes.hist(
                np.maximum(numbers, 1), bins=edges, density=False, histtype="stepfilled", alpha=0.6,
                color=COLOURS[label], label=label.value,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(unit)
        axes.set_ylabel("messages")
        return _svg(figure, axes, title)


def _figure() -> tuple[Figure, Any]:
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure, axes: Any, title: str) -> str:
    axes.legend()
    figure.patch.set_alpha(0)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    # Without a size of its own the picture takes the width of the page; the viewBox keeps its proportions.
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{title}">{rest}'
