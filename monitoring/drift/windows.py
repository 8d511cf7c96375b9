"""Which rows a run looks at: a period, the latest N rows, or whatever came since the last run."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from monitoring.drift import series
from monitoring.errors import TooFewRows, WindowMeasured
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import prediction_windows
from records.repositories.prediction_windows import Period, Served, Window
from records.repositories.served_versions import count

PERIOD: Final = "period"
ROWS: Final = "rows"
_JUST: Final = timedelta(microseconds=1)
"""The step from an instant to just behind it: a window does not hold its own end."""


class Asked(NamedTuple):
    """How a window is chosen: the last `length`, the latest `rows`, or neither: since the last run."""

    length: timedelta | None = None
    rows: int | None = None

    @property
    def kind(self) -> str:
        """The kind of window; those of one kind never overlap."""
        return ROWS if self.rows is not None else PERIOD


class Chosen(NamedTuple):
    """A window with its bounds, and how many of its rows are beyond the most that is looked at."""

    period: Period
    window: Window
    left_out: int


async def choose(
    records: Records,
    served: Served,
    asked: Asked,
    settings: MonitoringSettings,
    *,
    longest: timedelta,
    now: datetime,
) -> Chosen:
    """Returns the window that `asked` means; one since the last run looks back no further than `longest`.

    Raises:
        TooFewRows: it holds too few rows for a judgement.
        WindowMeasured: it overlaps a window of the same kind that was measured already.
    """
    async with records.reading() as session:
        before = await series.measured(session, served, asked.kind)
        if asked.rows is not None:
            window = await prediction_windows.window(session, served, limit=asked.rows)
            _require(len(window), max(asked.rows, settings.drift_min_rows), served, asked)
            period = Period(_instant(window, 0), _instant(window, -1) + _JUST)
            require_new(period, before, served)
            return Chosen(period, window, 0)
        since = now - (asked.length or longest)
        if asked.length is None and before and before[-1].until is not None:
            since = max(since, before[-1].until)
        period = Period(since, now)
        require_new(period, before, served)
        rows = await count(session, served, period)
        _require(rows, settings.drift_min_rows, served, asked)
        window = await prediction_windows.window(session, served, period, limit=settings.drift_max_rows)
        return Chosen(period, window, max(0, rows - len(window)))


def _require(rows: int, needed: int, served: Served, asked: Asked) -> None:
    if rows >= needed:
        return
    where = "in all" if asked.rows is not None else "in the window"
    raise TooFewRows(
        f"Version {served.model_version} of {served.model_name} has {rows:,} predictions in "
        f"{served.environment} {where}; a verdict needs {needed:,}.",
        next_step="Wait for more traffic, look further back (--window 7d), or ask for fewer (--rows, down to "
        "MONITORING_DRIFT_MIN_ROWS).",
    )


def require_new(period: Period, before: list[Period], served: Served) -> None:
    """Refuses a window that shares an instant with one `before`.

    Raises:
        WindowMeasured: it does.
    """
    overlap = series.first_overlap(period, before)
    if overlap is None or overlap.since is None or overlap.until is None:
        return
    raise WindowMeasured(
        f"Version {served.model_version} of {served.model_name} was measured in {served.environment} from "
        f"{overlap.since:%Y-%m-%d %H:%M:%S} to {overlap.until:%Y-%m-%d %H:%M:%S} UTC already, and the window "
        "asked for overlaps that.",
        next_step="Look at what was found (sluice drift report), or measure what came since then: "
        "sluice drift run without --window and --rows.",
    )


def _instant(window: Window, at: int) -> datetime:
    instant: datetime = window.created_at[at].item()
    return instant.replace(tzinfo=UTC)
