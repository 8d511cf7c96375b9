"""The page of a drift run: our verdict, by family and in words, and charts of the columns that matter."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from kit.files import write_text
from kit.home import Home
from monitoring.drift.report.charts import charts
from monitoring.drift.result import DriftResult, FamilyDrift, Verdict
from monitoring.drift.traffic import Pair
from monitoring.drift.words import percent
from monitoring.settings import MonitoringSettings

_TEMPLATE: Final = Path(__file__).parent / "verdict.html"
_POLICY: Final = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline' "
    "'unsafe-eval' blob:; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; worker-src blob:\">"
)
"""What a browser may load for the page: nothing but what is in it."""
_HEAD: Final = "<head>"
_BODY: Final = "<body>"
_WORDS: Final = {Verdict.DRIFT: "drift", Verdict.SMALL: "moved a little", Verdict.QUIET: "quiet"}


def folder(home: Home, result: DriftResult) -> Path:
    """Returns where the pages of a version in an environment lie."""
    names = (result.model, result.environment.value, result.version)
    return home.reports.joinpath("drift", *(quote(name, safe="") for name in names))


def write(home: Home, settings: MonitoringSettings, result: DriftResult, pair: Pair) -> Path:
    """Writes the page of a run and returns its path."""
    names = columns_that_matter(result, settings.report_columns)
    drawn = charts(pair.reference, pair.current, names, rows=settings.report_rows)
    path = folder(home, result) / f"{result.window_end:%Y%m%dT%H%M%S%fZ}-{result.kind}.html"
    write_text(path, _joined(verdict(result, names, settings), drawn))
    return path


def columns_that_matter(result: DriftResult, most: int) -> list[str]:
    """Returns the names of what drifted, then of what leads each family, at most `most` in all."""
    drifted = [feature for family in result.families for feature in family.features if feature.drifted]
    drifted.sort(key=lambda feature: -feature.moved)
    leading = [family.features[0] for family in result.families]
    return list(dict.fromkeys(feature.name for feature in (*drifted, *leading)))[:most]


def verdict(result: DriftResult, names: list[str], settings: MonitoringSettings) -> str:
    """Returns the upper part of the page, as HTML to be put at the start of a body."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        result=result,
        headline=headline(result),
        words=_WORDS,
        ordered=sorted(result.families, key=_gravity),
        names=names,
        percent=percent,
        settings=settings,
    )


def headline(result: DriftResult) -> str:
    """Returns the one verdict of a run in a sentence."""
    drifted = [family.family for family in result.drifted]
    if not drifted:
        return f"No drift: the traffic of version {result.version} is as its reference has it."
    return (
        f"Drift in {', '.join(drifted)}: the traffic of version {result.version} is not what it was made on."
    )


def _gravity(family: FamilyDrift) -> tuple[int, float]:
    order = (Verdict.DRIFT, Verdict.SMALL, Verdict.QUIET)
    return order.index(family.verdict), family.p_value


def _joined(upper: str, drawn: str) -> str:
    for tag, addition in ((_HEAD, _POLICY), (_BODY, upper)):
        if drawn.count(tag) < 1:
            raise ValueError(f"Evidently's page has no {tag} to put ours into")
        drawn = drawn.replace(tag, f"{tag}\n{addition}", 1)
    return drawn
