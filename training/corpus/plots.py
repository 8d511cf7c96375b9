"""Pictures of a corpus as SVG, in colours that are readable on light and on dark ground."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from contracts.labels import Label
from training.drawing import BLUE, ORANGE, STYLE, new_figure, svg_of

COLOURS: Final = {Label.HAM: BLUE, Label.SPAM: ORANGE}

_BINS: Final = 40


def months(counts: dict[str, dict[str, int]], title: str) -> str:
    """Returns an SVG of messages by month (`YYYY-MM`, ascending), the classes on top of each other."""
    with rc_context(STYLE):
        figure, axes = new_figure()
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
    with rc_context(STYLE):
        figure, axes = new_figure()
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


def _svg(figure: Figure, axes: Any, title: str) -> str:
    axes.legend()
    return svg_of(figure, title)
