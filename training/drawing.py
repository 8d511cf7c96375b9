"""Pictures as SVG that take the colour of the text around them, on light and on dark ground."""

import html
import io
import re
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure

BLUE: Final = "#3b82c4"
ORANGE: Final = "#e07b39"
GREEN: Final = "#3f9c5f"
GREY: Final = "#8a8f98"

# Matplotlib knows no currentColor: this colour is drawn, and replaced in the SVG.
INK: Final = "#010203"
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none", "svg.hashsalt": "sluice", "font.family": "sans-serif", "font.size": 9,
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": "none",
    "text.parse_math": False, "legend.frameon": False,
}  # fmt: skip


def new_figure(width_inches: float = 5.4, height_inches: float = 2.8) -> tuple[Figure, Any]:
    """Returns an empty figure and its axes; draw on them within `rc_context(STYLE)`."""
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    return figure, figure.add_subplot()


def svg_of(figure: Figure, title: str) -> str:
    """Returns the figure as an SVG element that takes the width of the page; equal figures give equal text.

    `title` is read out by screen readers.
    """
    figure.patch.set_alpha(0)
    buffer = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    # Without a size of its own the picture takes the width of the page; the viewBox keeps its proportions.
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{html.escape(title)}">{rest}'
