"""What runs found, as tables and sentences for a terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path

from kit.terminal import print_table, say
from monitoring.alerts.tables import print_entries
from monitoring.drift.job import Outcome
from monitoring.drift.latest import Kept
from monitoring.drift.result import DriftResult, Verdict
from monitoring.drift.words import percent
from monitoring.performance.result import LivePerformance

_WORDS = {Verdict.DRIFT: "DRIFT", Verdict.SMALL: "moved a little", Verdict.QUIET: "quiet"}
_KEPT = {1.0: _WORDS[Verdict.DRIFT], 0.5: _WORDS[Verdict.SMALL], 0.0: _WORDS[Verdict.QUIET]}


def print_outcome(outcome: Outcome) -> None:
    """Prints what a run of the job found."""
    for result in outcome.results:
        print_drift(result)
    for figures in outcome.performance:
        print_performance(figures)
    for served, error in outcome.unmeasured:
        say(f"{served.model_name} {served.model_version} in {served.environment}: {error.message}")
        if error.next_step:
            say(f"Next: {error.next_step}")
    print_entries(outcome.alerts)


def print_drift(result: DriftResult) -> None:
    """Prints the verdicts of one run by family."""
    title = (
        f"{result.model} {result.version} in {result.environment}: {result.rows:,} predictions from "
        f"{result.window_start:%Y-%m-%d %H:%M} to {result.window_end:%Y-%m-%d %H:%M} UTC, against "
        f"{result.reference_rows:,} of the reference"
    )
    rows = [
        (family.family, _WORDS[family.verdict], f"{family.p_value:.4f}", family.sentence)
        for family in result.families
    ]
    print_table(title, ("family", "verdict", "p-value", "what happened"), rows)
    for family in result.drifted:
        since = f" since {family.since:%Y-%m-%d %H:%M} UTC" if family.since else ""
        say(f"{family.family} drifts{since}; for example: {', '.join(family.examples)}")
    for note in result.not_measured:
        say(note)
    if result.report:
        _tell_page(result.report)


def print_performance(found: LivePerformance) -> None:
    """Prints live or estimated figures next to the certificate's."""
    kind = "estimated without labels" if found.estimate else f"by {found.rows:,} labels"
    title = f"{found.model} {found.version} in {found.environment}: figures {kind}"
    rows = [
        (
            figure.name,
            percent(figure.value),
            f"{percent(figure.low)} to {percent(figure.high)}",
            percent(figure.certificate),
            "worse" if figure.worse else "",
        )
        for figure in found.figures
    ]
    print_table(title, ("figure", "now", "95 % interval", "certificate", "verdict"), rows)
    say(found.sentence)
    for note in found.notes:
        say(note)


def print_kept(kept: Sequence[Kept]) -> None:
    """Prints the latest verdicts as they were kept, and where the pages lie."""
    rows = [
        (
            f"{row.model} {row.version}",
            row.environment.value,
            f"{row.window_end:%Y-%m-%d %H:%M}",
            f"{row.rows:,}",
            row.family,
            _KEPT[row.drift],
            row.sentence,
        )
        for row in kept
    ]
    columns = ("version", "environment", "until (UTC)", "rows", "family", "verdict", "what happened")
    print_table("The latest drift runs", columns, rows)
    for path in dict.fromkeys(row.report for row in kept if row.report):
        _tell_page(path)


def _tell_page(path: Path) -> None:
    # Not through rich, which would break a path into lines that nobody can copy.
    sys.stdout.write(f"Report: {path}\n")
