"""The description of a corpus as tables on a terminal."""

from typing import Final

from rich.markup import escape

from contracts.labels import Label
from kit.terminal import print_table
from training.corpus.printable import printable
from training.corpus.summary import Summary

_SUBJECT_CHARACTERS: Final = 70


def print_summary(summary: Summary) -> None:
    """Prints what `summary` says; names and subjects come from strangers, and are made harmless."""
    dates = summary.dates
    print_table(
        "The corpus",
        ("what", "value"),
        [
            ("fingerprint", summary.fingerprint),
            ("messages", f"{summary.messages:,}"),
            ("classes", ", ".join(f"{name} {count:,}" for name, count in summary.labels.items())),
            ("in quarantine", f"{summary.source.quarantined:,} of {summary.source.read:,} entries"),
            ("dated", f"{dates.dated:,} ({dates.share:.1%})"),
            (
                "from, to (UTC)",
                f"{dates.first:%Y-%m-%d}, {dates.last:%Y-%m-%d}" if dates.first else "unknown",
            ),
            ("clusters of copies", f"{summary.duplicates.clusters:,}"),
            ("copies", f"{summary.duplicates.copies:,} ({summary.duplicates.share:.1%})"),
            ("without text", f"{summary.empty_texts:,}"),
            ("sender domains", f"{summary.sender_domains:,}"),
        ],
    )
    _print_lengths(summary)
    print_table(
        "Groups",
        ("group", *Label),
        [
            (_safe(name), *(f"{counts.get(label, 0):,}" for label in Label))
            for name, counts in summary.groups.items()
        ],
    )
    print_table(
        "Most frequent sender domains",
        ("domain", "messages", "spam"),
        [
            (_safe(item.domain), f"{item.messages:,}", f"{item.spam / item.messages:.0%}")
            for item in summary.top_domains
        ],
    )
    print_table(
        "Largest clusters of copies",
        ("messages", "class", "one of the subjects"),
        [
            (item.size, ", ".join(item.labels), _safe(item.subject[:_SUBJECT_CHARACTERS]))
            for item in summary.duplicates.largest
        ],
    )


def _print_lengths(summary: Summary) -> None:
    rows = []
    for what, by_label in (("bytes", summary.bytes), ("tokens", summary.tokens)):
        for label, quantiles in by_label.items():
            rows.append((what, label, *(f"{value:,}" for value in quantiles.values())))
    print_table("Lengths", ("what", "class", "minimum", "25 %", "median", "75 %", "95 %", "maximum"), rows)


def _safe(text: str) -> str:
    return escape(printable(text))
