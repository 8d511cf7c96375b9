"""The pictures of the model card, as SVG."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context

from training.drawing import BLUE, GREEN, GREY, ORANGE, STYLE, new_figure, svg_of
from training.evaluation.results import Bin, Curve, Evaluation
from training.report.words import own

_COLOURS: Final = (BLUE, ORANGE, GREEN, GREY)
_INCHES: Final = (5.4, 3.4)
_LEAST_RATE: Final = 1e-4


class Pictures(NamedTuple):
    """Each is an SVG element, or empty where there is nothing to draw."""

    precision_recall: Markup
    roc: Markup
    calibration: Markup
    threshold: Markup


def pictures_of(evaluation: Evaluation) -> Pictures:
    """Returns the pictures of one evaluation; equal evaluations give equal pictures."""
    with rc_context(STYLE):
        curves = evaluation.curves
        at = evaluation.threshold.value if evaluation.threshold else None
        return Pictures(
            precision_recall=own(_precision_recall(curves)) if curves else Markup(),
            roc=own(_roc(curves, evaluation)) if curves else Markup(),
            calibration=own(_calibration(evaluation.reliability)),
            threshold=own(_threshold(curves[0], at)) if curves and at is not None else Markup(),
        )


def _precision_recall(curves: Sequence[Curve]) -> str:
    figure, axes = new_figure(*_INCHES)
    for curve, colour in _coloured(curves):
        recalls = [point.recall for point in curve.points]
        axes.plot(recalls, [point.precision for point in curve.points], color=colour, label=curve.class_name)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01))
    axes.set_ylim(top=1.01)
    _legend(axes, curves)
    return svg_of(figure, "Precision and recall at every threshold")


def _roc(curves: Sequence[Curve], evaluation: Evaluation) -> str:
    figure, axes = new_figure(*_INCHES)
    # What matters of a good model happens below 1 % false positives: the axis is logarithmic, and begins
    # where the first of these rows would stand.
    least = max(_LEAST_RATE, 0.5 / max(1, evaluation.rows["test"]))
    for curve, colour in _coloured(curves):
        rates = np.maximum([point.false_positive_rate for point in curve.points], least)
        recalls = [point.recall for point in curve.points]
        axes.step(rates, recalls, where="post", color=colour, label=curve.class_name)
    axes.set_xscale("log")
    axes.set(xlabel="false positive rate", ylabel="recall", xlim=(least, 1.05))
    axes.set_ylim(top=1.01)
    axes.set_xticks(ticks := [tick for tick in (0.001, 0.01, 0.1, 1) if tick >= least], map(_percent, ticks))
    _legend(axes, curves)
    return svg_of(figure, "Recall at every false positive rate")


def _calibration(bins: Sequence[Bin]) -> str:
    figure, axes = new_figure(*_INCHES)
    filled = [each for each in bins if each.rows]
    most = max((each.rows for each in filled), default=1)
    behind = axes.twinx()
    behind.bar(
        [each.low for each in filled], [each.rows for each in filled], width=0.1, align="edge", color=GREY,
        alpha=0.25,
    )  # fmt: skip
    behind.set_ylabel("rows")
    behind.set_ylim(0, 1.05 * most)
    axes.plot([0, 1], [0, 1], linestyle=":", color=GREY)
    axes.plot(
        [each.predicted for each in filled], [each.observed for each in filled], marker="o", markersize=4,
        color=BLUE,
    )  # fmt: skip
    axes.set(xlabel="promised probability", ylabel="came true", xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.set_zorder(behind.get_zorder() + 1)
    return svg_of(figure, "Promised probabilities and how often they came true")


def _threshold(curve: Curve, at: float) -> str:
    figure, axes = new_figure(*_INCHES)
    thresholds = [point.threshold for point in curve.points]
    for name, label, colour in (
        ("precision", "precision", BLUE),
        ("recall", "recall", ORANGE),
        ("f1", "F1", GREEN),
    ):
        axes.plot(thresholds, [getattr(point, name) for point in curve.points], color=colour, label=label)
    axes.axvline(at, color=GREY, linestyle="--", label="chosen")
    axes.set(xlabel="threshold", xlim=(0, 1))
    axes.set_ylim(top=1.01)
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return svg_of(figure, "Precision, recall and F1 at every threshold")


def _coloured(curves: Sequence[Curve]) -> list[tuple[Curve, str]]:
    return [(curve, _COLOURS[index % len(_COLOURS)]) for index, curve in enumerate(curves)]


def _legend(axes: Any, curves: Sequence[Curve]) -> None:
    if len(curves) > 1:
        axes.legend(loc="lower center")


def _percent(rate: float) -> str:
    return f"{100 * rate:g} %"
