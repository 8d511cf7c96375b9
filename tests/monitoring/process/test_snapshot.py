"""What a gateway's counters grew by: between two looks, and over its restarts."""

from datetime import UTC, datetime

import pytest

from contracts import metrics as contract
from monitoring.checks.snapshot import Snapshot, parsed
from monitoring.errors import GatewayUnread

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DROPPED = contract.GATEWAY_RECORDS_DROPPED


def page(began: float, **dropped: float) -> Snapshot:
    """Returns a look at a gateway that has dropped so many predictions, by reason."""
    lines = [f"process_start_time_seconds {began}", f"# TYPE {DROPPED.name} counter"]
    lines += [f'{DROPPED.name}{{reason="{reason}"}} {value}' for reason, value in dropped.items()]
    return parsed("\n".join(lines) + "\n", gateway="http://gateway", at=NOON)


@pytest.mark.parametrize(
    ("before", "now", "grown"),
    [
        (None, page(1, full=5), 5),
        (page(1, full=5), page(1, full=5), 0),
        (page(1, full=5), page(1, full=7, disk=2), 4),
        (page(1, full=5), page(2, full=1), 1),
        (page(1, full=5), page(2, full=9), 9),
        (page(1, full=5), page(1, full=2), 2),
        (page(1, full=5), page(2, full=0), 0),
    ],
)
def test_growth_is_what_is_new_also_after_a_restart(
    before: Snapshot | None, now: Snapshot, grown: float
) -> None:
    """A new process, or a counter that fell, has counted from nothing: all of it is new."""
    assert now.growth(before, DROPPED) == grown


def test_another_gateway_is_another_matter() -> None:
    """Its figures are not set off against the former one's."""
    other = page(1, full=7).model_copy(update={"gateway": "http://other"})
    assert other.growth(page(1, full=5), DROPPED) == 7


def test_it_outlives_its_process_as_a_file() -> None:
    """Through JSON and back."""
    snapshot = page(1, full=5)
    assert Snapshot.model_validate_json(snapshot.model_dump_json()) == snapshot


@pytest.mark.parametrize("text", ["", "x", "process_start_time_seconds 1\n", f"{DROPPED.name} 1\n"])
def test_a_page_of_something_else_is_refused(text: str) -> None:
    """With what to set."""
    with pytest.raises(GatewayUnread):
        parsed(text, gateway="http://other", at=NOON)
