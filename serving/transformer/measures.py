"""The transformer's metrics, each made once from contracts/metrics.py."""

from prometheus_client import CollectorRegistry, ProcessCollector

from contracts import metrics as contract
from kit import metrics


class Measures:
    """What is counted and timed; `registry` is what `/metrics` tells."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = metrics.counter(contract.TRANSFORMER_REQUESTS, self.registry)
        self.request_seconds = metrics.histogram(contract.TRANSFORMER_REQUEST_SECONDS, self.registry)
        self.extraction_seconds = metrics.histogram(contract.TRANSFORMER_EXTRACTION_SECONDS, self.registry)
        self.predictor_seconds = metrics.histogram(contract.TRANSFORMER_PREDICTOR_SECONDS, self.registry)
        self.predictor_rows = metrics.histogram(contract.TRANSFORMER_PREDICTOR_ROWS, self.registry)
        self.messages = metrics.counter(contract.TRANSFORMER_MESSAGES, self.registry)
        self.defaulted_senders = metrics.counter(contract.TRANSFORMER_DEFAULTED_SENDERS, self.registry)
        self.refused_versions = metrics.counter(contract.TRANSFORMER_REFUSED_VERSIONS, self.registry)
        self.model = metrics.gauge(contract.TRANSFORMER_MODEL, self.registry)
