"""What the monitoring process counts, each made once from contracts/metrics.py."""

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from contracts import metrics as contract
from kit import metrics


class Measures:
    """`registry` is what `/metrics` tells; what stands in the records is read when it is asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.hooks = metrics.counter(contract.HOOKS, self.registry)
        self.retraining = metrics.counter(contract.RETRAINING, self.registry)
        self._gateway: Gauge | None = None

    def gateway(self, *, read: bool) -> None:
        """Tells whether the gateway's own figures could be read; before the first time nothing is told."""
        if self._gateway is None:
            self._gateway = metrics.gauge(contract.GATEWAY_READ, self.registry)
        self._gateway.set(read)
