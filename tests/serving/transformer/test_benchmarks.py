"""The transformer's figures are each of one kind: a time against a time, a rate against a rate."""

import pytest

from serving import load
from serving.transformer.benchmarks import CONNECTIONS, figures_of


def summary(per_second: float, p50: float) -> load.Summary:
    """Returns a load that was answered at a rate, each answer in a time."""
    return load.Summary(answers=100, failures=0, per_second=per_second, p50=p50, p99=2 * p50)


def test_a_time_has_an_aim_of_its_own_and_a_rate_another() -> None:
    """The aim for one connection is a time, and stands beside no rate; a ratio is of its own figure."""
    own = dict.fromkeys(CONNECTIONS, summary(800, 0.004))
    peer = dict.fromkeys(CONNECTIONS, summary(200, 0.016))
    told = {figure.name: figure for figure in figures_of(own, peer)}
    p50 = told.pop("transformer and Triton, 1 connection, p50")
    assert (p50.unit, p50.aim) == ("ms", "< 2.5")
    assert (p50.value, p50.ratio) == pytest.approx((4.0, 0.25))
    assert {name: (rate.value, rate.unit, rate.aim, rate.ratio) for name, rate in told.items()} == {
        "transformer and Triton, 1 connection": (800, "e-mails/s", None, 4),
        "transformer and Triton, 16 connections": (800, "e-mails/s", "> 900", 4),
        "transformer and Triton, 64 connections": (800, "e-mails/s", None, 4),
    }
