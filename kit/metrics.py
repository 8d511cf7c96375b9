"""Prometheus metrics made from their contract, so that no name is written twice."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from contracts.metrics import Kind, Metric
from kit.errors import Bug


def counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    """Returns the counter that `metric` describes, registered once in `registry`."""
    _require(metric, Kind.COUNTER)
    return Counter(metric.name, metric.sentence, metric.labels, registry=registry)


def gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    """Returns the gauge that `metric` describes, registered once in `registry`."""
    _require(metric, Kind.GAUGE)
    return Gauge(metric.name, metric.sentence, metric.labels, registry=registry)


def histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    """Returns the histogram that `metric` describes, registered once in `registry`."""
    _require(metric, Kind.HISTOGRAM)
    return Histogram(metric.name, metric.sentence, metric.labels, registry=registry, buckets=metric.buckets)


def _require(metric: Metric, kind: Kind) -> None:
    if metric.kind is not kind:
        raise Bug(f"{metric.name} is a {metric.kind} in contracts/metrics.py, and not a {kind}.")
