"""How far a corpus has moved from the one that was accepted last."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from contracts.corpus import DATE, LABEL, RAW
from kit.files import write_text
from training.corpus.duplicates import Clusters
from training.corpus.errors import SourceUnreadable

ACCEPTED: Final = "accepted.json"

_HALF: Final = 0.5


class Profile(BaseModel):
    """Counts by bin of what a corpus should keep from one run to the next; lengths are in powers of two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    accepted_at: datetime
    distributions: dict[str, dict[str, int]]


def profile_of(corpus: pa.Table, clusters: Clusters, fingerprint: str) -> Profile:
    """Returns the distributions of classes, sizes, token counts and of having a date."""
    distributions = {
        "label": _counted(corpus[LABEL].to_pylist()),
        "bytes": _counted([_power(len(raw)) for raw in corpus[RAW].to_pylist()]),
        "tokens": _counted([_power(count) for count in clusters.token_counts]),
        "dated": _counted(["no" if date is None else "yes" for date in corpus[DATE].to_pylist()]),
    }
    return Profile(fingerprint=fingerprint, accepted_at=datetime.now(UTC), distributions=distributions)


def shifts(current: Profile, former: Profile) -> dict[str, float]:
    """Returns the population stability index of each distribution; 0 means no change."""
    return {
        name: stability_index(counts, former.distributions.get(name, {}))
        for name, counts in current.distributions.items()
    }


def stability_index(current: Mapping[str, int], former: Mapping[str, int]) -> float:
    """Returns sum((p - q) * ln(p / q)) over the bins of both, half a count added to each bin.

    The population stability index (Siddiqi, Credit Risk Scorecards, 2006); below 0.1 is read as no change,
    above 0.25 as a large one. The half count keeps a bin that is empty on one side finite.
    """
    bins = current.keys() | former.keys()
    p_total = sum(current.values()) + _HALF * len(bins)
    q_total = sum(former.values()) + _HALF * len(bins)
    index = 0.0
    for name in sorted(bins):
        p = (current.get(name, 0) + _HALF) / p_total
        q = (former.get(name, 0) + _HALF) / q_total
        index += (p - q) * math.log(p / q)
    return index


def accepted(folder: Path) -> Profile | None:
    """Returns the profile of the last accepted corpus, or None before the first.

    Raises:
        SourceUnreadable: the file that keeps it is damaged.
    """
    path = folder / ACCEPTED
    try:
        return Profile.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise SourceUnreadable(
            f"{path} is damaged: there is nothing to compare with.",
            next_step="Delete it; the next corpus that passes is then taken as it is.",
        ) from exc


def accept(folder: Path, profile: Profile) -> None:
    """Keeps `profile` as the one to compare with."""
    write_text(folder / ACCEPTED, profile.model_dump_json(indent=2) + "\n")


def _counted(values: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _power(value: int) -> str:
    return f"{1 << (value.bit_length() - 1)}+" if value else "0"
