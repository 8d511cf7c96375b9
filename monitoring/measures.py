"""What the monitoring process counts, each made once from contracts/metrics.py."""

from prometheus_client import CollectorRegistry, ProcessCollector

from contracts import metrics as contract
from kit import metrics


class Measures:
    """`registry` is what `/metrics` tells; what stands in the records is read when it is asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.hooks = metrics.counter(contract.HOOKS, self.registry)
        self.retraining = metrics.counter(contract.RETRAINING, self.registry)
