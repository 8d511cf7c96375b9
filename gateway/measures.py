"""The gateway's metrics, each made once from contracts/metrics.py."""

from prometheus_client import CollectorRegistry, ProcessCollector

from contracts import metrics as contract
from kit import metrics


class Measures:
    """What is counted and timed; `registry` is what `/metrics` tells."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = metrics.counter(contract.GATEWAY_REQUESTS, self.registry)
        self.request_seconds = metrics.histogram(contract.GATEWAY_REQUEST_SECONDS, self.registry)
        self.upstream_seconds = metrics.histogram(contract.GATEWAY_UPSTREAM_SECONDS, self.registry)
        self.upstream_errors = metrics.counter(contract.GATEWAY_UPSTREAM_ERRORS, self.registry)
        self.breaker_open = metrics.gauge(contract.GATEWAY_BREAKER_OPEN, self.registry)
        self.in_flight = metrics.gauge(contract.GATEWAY_IN_FLIGHT, self.registry)
        self.waiting = metrics.gauge(contract.GATEWAY_WAITING, self.registry)
        self.keys_refused = metrics.counter(contract.GATEWAY_KEYS_REFUSED, self.registry)
        self.rate_limited = metrics.counter(contract.GATEWAY_RATE_LIMITED, self.registry)
        self.rate_store_up = metrics.gauge(contract.GATEWAY_RATE_STORE_UP, self.registry)
        self.records_queued = metrics.gauge(contract.GATEWAY_RECORDS_QUEUED, self.registry)
        self.spool_bytes = metrics.gauge(contract.GATEWAY_SPOOL_BYTES, self.registry)
        self.spool_limit_bytes = metrics.gauge(contract.GATEWAY_SPOOL_LIMIT_BYTES, self.registry)
        self.records_written = metrics.counter(contract.GATEWAY_RECORDS_WRITTEN, self.registry)
        self.records_dropped = metrics.counter(contract.GATEWAY_RECORDS_DROPPED, self.registry)
        self.shadows = metrics.counter(contract.GATEWAY_SHADOWS, self.registry)
        self.defaulted_features = metrics.counter(contract.GATEWAY_DEFAULTED_FEATURES, self.registry)
        self.model = metrics.gauge(contract.GATEWAY_MODEL, self.registry)
