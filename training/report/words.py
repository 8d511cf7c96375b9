"""How figures are written for people, the same in every form of the card."""

from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup

from training.evaluation.results import Difference, Estimate, Evaluation
from training.metrics import METRICS

NOTHING: Final = "–"  # noqa: RUF001 - what a reader sees where there is no figure
_LONGEST_TITLE: Final = 120


def own(text: str) -> Markup:
    """Returns a text that this code made, of nothing that comes from data: it is shown as it is."""
    return Markup(text)  # noqa: S704


def number(value: float | None) -> Markup:
    """Returns a figure with four digits, or a dash."""
    return own(NOTHING) if value is None else own(f"{value:.4f}")


def interval(figure: Estimate | Difference) -> Markup:
    """Returns the interval of a figure, or a dash."""
    if figure.low is None or figure.high is None:
        return own(NOTHING)
    sign = "+" if isinstance(figure, Difference) else ""
    return own(f"{figure.low:{sign}.4f} to {figure.high:{sign}.4f}")


def change(figure: Difference) -> Markup:
    """Returns a difference with its sign, or a dash."""
    return own(NOTHING) if figure.value is None else own(f"{figure.value:+.4f}")


def share(value: float | None) -> Markup:
    """Returns a share in per cent with one digit, or a dash."""
    return own(NOTHING) if value is None else own(f"{100 * value:.1f} %")


def count(value: int) -> Markup:
    """Returns a whole number with its thousands set apart."""
    return own(f"{value:,}")


def shortened(title: str) -> str:
    """Returns a title short enough for a table."""
    return title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + "…"


def metric_title(name: str) -> Markup:
    """Returns what people call a metric."""
    return own(METRICS[name].title)


def left_out(figures: Mapping[str, Estimate]) -> list[str]:
    """Returns a sentence for each reason why figures are missing, with the metrics that it holds for."""
    titles: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure.value is None:
            titles.setdefault(figure.reason or "", []).append(METRICS[name].title)
    return [f"{', '.join(names)}: {reason}." for reason, names in titles.items()]


def slice_metrics(evaluation: Evaluation) -> list[str]:
    """Returns the metrics that are shown of a slice."""
    if len(evaluation.classes) == 2:  # noqa: PLR2004 - two is what binary means
        return ["f1", "recall", "specificity"]
    return ["f1", "recall", "accuracy"]


FILTERS: Final[dict[str, Any]] = {
    "number": number, "interval": interval, "change": change, "share": share, "count": count,
    "shortened": shortened, "metric_title": metric_title, "left_out": left_out,
}  # fmt: skip
