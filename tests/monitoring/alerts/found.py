"""What drift runs and live figures may find, made by hand: one value of each kind of finding."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from contracts.environments import Environment
from monitoring.drift.result import Cause, DriftResult, FamilyDrift, FeatureDrift, Verdict
from monitoring.performance.result import LiveFigure, LivePerformance
from tests.monitoring.alerts.story import minute

MODEL = "spam-detector"
FAMILIES = ("header", "structure", "sender", "text", "score")


def feature(name: str, moved: float, *, drifted: bool = True) -> FeatureDrift:
    """Returns a feature of which a share of the predictions moved."""
    return FeatureDrift(
        name=name,
        psi=1.0,
        ks=0.5,
        moved=moved,
        p_value=0.001,
        drifted=drifted,
        reference="median 3",
        current="median 9",
    )


def family(
    name: str, verdict: Verdict = Verdict.DRIFT, moved: float = 0.3, cause: Cause | None = None
) -> FamilyDrift:
    """Returns the verdict on a family of two features, of which only the first one drifted, if any."""
    drifts = verdict is Verdict.DRIFT
    return FamilyDrift(
        family=name,
        verdict=verdict,
        sentence=f"The {name} features: {verdict}.",
        p_value=0.001,
        features=(
            feature(f"{name}_leads", moved, drifted=drifts),
            feature(f"{name}_stays", 0.01, drifted=False),
        ),
        since=minute(-30) if drifts else None,
        examples=(f"{name}-1", f"{name}-2", f"{name}-3") if drifts else (),
        cause=cause,
    )


def result(
    *found: FamilyDrift,
    at: float = 0,
    version: str = "7",
    measured: Sequence[str] = FAMILIES,
    rows: int = 400,
    defaulted: int = 0,
    report: Path | None = None,
    environment: Environment = Environment.PRODUCTION,
) -> DriftResult:
    """Returns what a run found an hour's window of; families that are not `found` are quiet."""
    verdicts = {each.family: each for each in found}
    return DriftResult(
        model=MODEL,
        environment=environment,
        version=version,
        kind="period",
        window_start=minute(at - 60),
        window_end=minute(at),
        measured_at=minute(at),
        rows=rows,
        reference_rows=900,
        defaulted_rows=defaulted,
        families=tuple(
            verdicts.get(name) or family(name, Verdict.QUIET, 0.0)
            for name in dict.fromkeys((*measured, *verdicts))
        ),
        report=report,
    )


def figure(name: str, value: float, *, worse: bool = False) -> LiveFigure:
    """Returns a figure that the certificate promised to be 0.97."""
    return LiveFigure(
        name=name,
        value=value,
        low=value - 0.02,
        high=value + 0.02,
        certificate=0.97,
        certificate_rows=300,
        p_value=0.001,
        worse=worse,
    )


def figures(
    *found: LiveFigure,
    at: float = 0,
    estimate: bool = False,
    degraded: bool = False,
    concept_drift: bool = False,
    of_rows: int = 5000,
    labels: int = 200,
) -> LivePerformance:
    """Returns live or estimated figures of the last hour."""
    end: datetime = minute(at)
    return LivePerformance(
        model=MODEL,
        environment=Environment.PRODUCTION,
        version="7",
        window_start=minute(at - 60),
        window_end=end,
        measured_at=end,
        estimate=estimate,
        rows=of_rows if estimate else labels,
        of_rows=of_rows,
        figures=found,
        degraded=degraded,
        concept_drift=concept_drift,
        sentence="By an estimate." if estimate else "By 200 labels.",
        notes=("An estimate: it holds if only the inputs have changed.",) if estimate else (),
    )
