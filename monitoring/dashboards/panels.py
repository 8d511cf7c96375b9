"""Panels of Grafana, and how they are laid out into a dashboard.

A dashboard is a list of rows, a row a title and panels. Ids, places and data sources are given here, so that
the pages say only what is shown. https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from contracts.environments import Environment

SCHEMA_VERSION: Final = 39
"""Of Grafana 10.4 and newer; newer ones migrate it themselves."""
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH: Final = 24
_TALL: Final = 8
_SHORT: Final = 4
_ALL: Final = "$__all"

Unit = Literal["short", "none", "reqps", "percentunit", "s", "bytes", "cps", "bool", "µs"]


class Query(NamedTuple):
    """One expression, and the name of its lines: `{{environment}}`."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture; `limits` colour values from each bound on."""

    title: str
    sort: Literal["timeseries", "stat", "state-timeline", "table"]
    queries: tuple[Query, ...]
    unit: Unit
    description: str
    width: int = 8
    limits: tuple[tuple[float, str], ...] = ()
    largest: float | None = None
    nothing: str = ""
    """What is shown where a query finds nothing."""
    below: str = "green"
    """The colour below the first limit."""
    words: dict[str, tuple[str, str]] = field(default_factory=dict)
    """A value's word and colour."""


class Row(NamedTuple):
    """Panels side by side, as many lines of them as their widths need."""

    title: str
    panels: Sequence[Panel]


class Variable(NamedTuple):
    """A choice above the dashboard; with `expression`, of what Prometheus knows."""

    name: str
    label: str
    expression: str = ""
    values: tuple[str, ...] = ()


ENVIRONMENT: Final = Variable("environment", "Environment", values=tuple(each.value for each in Environment))
MODEL: Final = Variable("model", "Model", expression="label_values(sluice_deployed_model, model)")


def dashboard(
    uid: str, title: str, description: str, rows: Iterable[Row], *variables: Variable
) -> dict[str, Any]:
    """Returns the document that Grafana reads."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["sluice"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "links": [
            {
                "type": "dashboards",
                "title": "Sluice",
                "tags": ["sluice"],
                "asDropdown": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": [_datasource(), *map(_variable, variables)]},
        "annotations": {"list": [_promotions()]},
        "panels": list(_placed(rows)),
    }


def _placed(rows: Iterable[Row]) -> Iterable[dict[str, Any]]:
    number = y = 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        y, x, height = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                y, x, height = y + height, 0, 0
            number += 1
            own = _SHORT if panel.sort == "stat" else _TALL
            yield _panel(panel) | {"id": number, "gridPos": {"x": x, "y": y, "w": panel.width, "h": own}}
            x, height = x + panel.width, max(height, own)
        y += height


def _panel(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.sort == "timeseries":
        defaults["min"] = 0
    if panel.nothing:
        defaults["noValue"] = panel.nothing
    if panel.largest is not None:
        defaults["max"] = panel.largest
    if panel.limits:
        steps: list[dict[str, Any]] = [{"value": None, "color": panel.below}]
        steps += [{"value": value, "color": colour} for value, colour in panel.limits]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.words:
        options = {
            value: {"text": text, "color": colour, "index": index}
            for index, (value, (text, colour)) in enumerate(panel.words.items())
        }
        defaults["mappings"] = [{"type": "value", "options": options}]
    at_once = panel.sort in ("table", "stat")
    return {
        "type": panel.sort,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "instant": at_once,
                "range": not at_once,
                **({"format": "table"} if panel.sort == "table" else {}),
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.sort == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if panel.sort == "stat":
        return {"colorMode": "value", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}}
    if panel.sort == "state-timeline":
        return {
            "mergeValues": True,
            "showValue": "never",
            "legend": {"displayMode": "list", "placement": "bottom"},
        }
    return {"showHeader": True}


def _datasource() -> dict[str, Any]:
    return {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"}


def _variable(variable: Variable) -> dict[str, Any]:
    common = {
        "name": variable.name,
        "label": variable.label,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": _ALL},
    }
    if variable.values:
        return common | {"type": "custom", "query": ",".join(variable.values)}
    return common | {
        "type": "query",
        "datasource": DATASOURCE,
        "query": variable.expression,
        "refresh": 2,
        "sort": 1,
    }


def _promotions() -> dict[str, Any]:
    """A mark where another version begins to serve."""
    return {
        "name": "Promotions",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": "sluice_deployed_model unless sluice_deployed_model offset 1m",
        "titleFormat": "{{model}} {{version}} in {{environment}}",
    }
