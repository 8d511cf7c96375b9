"""Metrics are made from their contract."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from contracts.metrics import Kind, Metric
from kit.errors import Bug
from kit.metrics import counter, gauge, histogram

METRIC = Metric(name="sluice_drops_total", kind=Kind.COUNTER, labels=("pond",), sentence="Drops of water.")


def test_a_counter_is_exposed_under_the_name_of_its_contract() -> None:
    """The name is not altered by the client library."""
    registry = CollectorRegistry()
    counter(METRIC, registry).labels("north").inc(2)
    assert b'sluice_drops_total{pond="north"} 2.0' in generate_latest(registry)


def test_a_histogram_has_the_buckets_of_its_contract() -> None:
    """The buckets of the contract are the ones on the page."""
    registry = CollectorRegistry()
    metric = Metric(name="sluice_wait_seconds", kind=Kind.HISTOGRAM, buckets=(0.5, 1), sentence="Waiting.")
    histogram(metric, registry).observe(0.7)
    page = generate_latest(registry).decode()
    assert 'le="0.5"} 0.0' in page
    assert 'le="1.0"} 1.0' in page


def test_a_metric_of_another_kind_is_a_bug() -> None:
    """A counter is never registered as a gauge."""
    with pytest.raises(Bug, match="sluice_drops_total is a counter"):
        gauge(METRIC, CollectorRegistry())
