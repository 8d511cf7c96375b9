"""The tree of errors and the problem document."""

from datetime import UTC, datetime

from kit.errors import Bug, CallerError, ExitCode, OperationalError, Refused, SluiceError, UsageError, problem

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_refusal_tells_its_reasons_and_exits_with_3() -> None:
    """A gate's answer is a list of sentences."""
    error = Refused(
        "The corpus is not fit to train on.", reasons=["one class only"], next_step="Fetch it again."
    )
    assert error.exit_code == ExitCode.REFUSED
    assert problem(error, request_id="r-1", now=NOW) == {
        "type": "urn:sluice:problem:refused",
        "title": "Refused by a gate",
        "status": 422,
        "detail": "The corpus is not fit to train on.",
        "code": "refused",
        "timestamp": "2026-01-02T03:04:05.000+00:00",
        "request_id": "r-1",
        "next_step": "Fetch it again.",
        "reasons": ["one class only"],
    }


def test_the_text_of_a_bug_stays_inside() -> None:
    """A caller learns that it is our fault, and nothing of how we work."""
    document = problem(Bug("row 7 of secret_table is None", next_step="look at secret_table"), now=NOW)
    assert "secret_table" not in str(document)
    assert document["status"] == 500


def test_every_kind_has_its_own_code_and_a_fitting_status() -> None:
    """Codes are what callers branch on, so no two kinds share one."""
    kinds: list[type[SluiceError]] = [CallerError, UsageError, Refused, OperationalError, Bug]
    codes = [kind.code for kind in (SluiceError, CallerError, UsageError, Refused, OperationalError)]
    assert len(set(codes)) == len(codes)
    assert [kind.status // 100 for kind in kinds] == [4, 4, 4, 5, 5]
