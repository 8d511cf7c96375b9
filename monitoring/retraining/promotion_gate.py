"""May a version that the loop trained reach production without a person? A pure decision, with its reasons.

It is stricter than the gate of the pipeline, which the version has passed: what nobody looked at is never
taken for good, and of a share that end of its 95 % interval counts that speaks against the version.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from monitoring.durations import duration
from monitoring.performance.intervals import wilson
from monitoring.settings import MonitoringSettings
from records.repositories.shadows import Pairs

FIGURES: Final = ("mean_f1", "mean_accuracy")
"""What certificates are compared in: means over the seeds of record."""


class Certificate(NamedTuple):
    """What a bundle promises."""

    figures: Mapping[str, float]
    rows: int
    """Rows that the figures stand on, as far as a bundle tells: those of its reference."""


class Evidence(NamedTuple):
    """Everything the decision looks at; None means that nobody looked."""

    version: str
    production: str | None
    """The version that is in production."""
    staged_at: datetime
    answers: int
    """Messages that the version was asked about in staging, shadows included."""
    pairs: Pairs
    """Those that production was asked about too."""
    measured: bool
    """Whether a drift run looked at it in staging."""
    alerts: tuple[str, ...]
    """Keys of the alerts that are open for its model in staging."""
    own: Certificate | None
    other: Certificate | None
    """Production's."""


class Reason(NamedTuple):
    """One rule, whether it was kept, and what was found."""

    rule: str
    kept: bool
    sentence: str


def judged(evidence: Evidence, settings: MonitoringSettings, now: datetime) -> tuple[Reason, ...]:
    """Returns a reason for every rule, kept or not."""
    return (
        _someone_to_follow(evidence),
        _time(evidence, settings, now),
        _answers(evidence, settings),
        _disagreement(evidence, settings),
        _alerts(evidence),
        *_figures(evidence),
    )


def _someone_to_follow(evidence: Evidence) -> Reason:
    where = "Nothing is in production: the first version comes there by a person."
    if evidence.production is not None:
        where = f"Version {evidence.production} is in production."
    return Reason("a version before it", evidence.production is not None, where)


def _time(evidence: Evidence, settings: MonitoringSettings, now: datetime) -> Reason:
    since = f"{evidence.staged_at:%Y-%m-%d %H:%M} UTC"
    sentence = f"It has been in staging since {since}; {settings.auto_promote_shadow} are asked for."
    return Reason(
        "time in staging", now - evidence.staged_at >= duration(settings.auto_promote_shadow), sentence
    )


def _answers(evidence: Evidence, settings: MonitoringSettings) -> Reason:
    least = settings.auto_promote_rows
    sentence = f"It answered {evidence.answers:,} messages in staging; {least:,} are asked for."
    return Reason("answers in staging", evidence.answers >= least, sentence)


def _disagreement(evidence: Evidence, settings: MonitoringSettings) -> Reason:
    rule, most = "agreement with production", settings.auto_promote_disagreement
    pairs = evidence.pairs
    if not pairs.asked:
        sentence = (
            "No message was asked of both versions: let a shadow run (GATEWAY_SHADOW_ENVIRONMENT, "
            "GATEWAY_SHADOW_SHARE)."
        )
        return Reason(rule, kept=False, sentence=sentence)
    high = wilson(pairs.differing, pairs.asked).high
    sentence = (
        f"Its verdict differs from production's on {pairs.differing:,} of {pairs.asked:,} messages, which is "
        f"at most {high:.1%} with 95 % confidence; at most {most:.1%} may be."
    )
    return Reason(rule, high <= most, sentence)


def _alerts(evidence: Evidence) -> Reason:
    rule = "quiet in staging"
    if evidence.alerts:
        return Reason(rule, kept=False, sentence=f"Alerts are open in staging: {', '.join(evidence.alerts)}.")
    if not evidence.measured:
        return Reason(rule, kept=False, sentence="No drift run has looked at it in staging yet.")
    return Reason(rule, kept=True, sentence="A drift run looked at it in staging, and no alert is open.")


def _figures(evidence: Evidence) -> Iterator[Reason]:
    own, other = evidence.own, evidence.other
    for name in FIGURES:
        rule = f"no worse {name}"
        if own is None or other is None or name not in own.figures or name not in other.figures:
            yield Reason(rule, kept=False, sentence=f"One of the two certificates has no {name}.")
            continue
        ours, theirs = _low(own, name), _low(other, name)
        sentence = (
            f"{name} is {own.figures[name]:.4f}, at least {ours:.4f} with 95 % confidence; production's is "
            f"{other.figures[name]:.4f}, at least {theirs:.4f}."
        )
        yield Reason(rule, ours >= theirs, sentence)


def _low(certificate: Certificate, name: str) -> float:
    """Returns the lower end of a figure's interval, as if it were a share of the rows it stands on."""
    return wilson(certificate.figures[name] * certificate.rows, certificate.rows).low
