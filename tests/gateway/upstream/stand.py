"""A backend with its routes and settings, for tests."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from contracts.bundle import CONTRACT, BundleContract, Lineage
from contracts.environments import Environment
from contracts.routes import Route, route_file
from contracts.tensors import Tensor
from gateway.asked import Asked, Caller
from gateway.backends.backend import Email
from gateway.backends.oip import OipBackend
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.files import write_text
from kit.home import Home

STAGING, PRODUCTION = Environment.STAGING, Environment.PRODUCTION
MAILS, FLOWERS = "spam-detector", "iris"
MAIL = Email(b"Subject: hello", structured=False)
ANYBODY = Caller("key", "test", frozenset(Environment))
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PATIENCE_SECONDS = 60
SINCE = datetime(2026, 1, 2, tzinfo=UTC)


def asked(
    environment: Environment = STAGING, model: str = MAILS, *, seconds: float = 60, name: str = "a"
) -> Asked:
    """Returns a request with `seconds` left."""
    deadline = asyncio.get_running_loop().time() + seconds
    return Asked(name, environment, model, ANYBODY, deadline, TRACEPARENT)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


def contract_of(
    model: str,
    classes: tuple[str, ...] = ("setosa", "versicolor", "virginica"),
    threshold: float | None = None,
) -> BundleContract:
    """Returns the contract of a model of four numbers."""
    return BundleContract(
        workload=model,
        created_at=SINCE,
        inputs=(Tensor(name="features", datatype="FP32", shape=(4,)),),
        outputs=(
            Tensor(name="label", datatype="INT64", shape=()),
            Tensor(name="probabilities", datatype="FP32", shape=(len(classes),)),
        ),
        classes=classes,
        schema_digest="5" * 64,
        threshold=threshold,
        feature_names=("a", "b", "c", "d"),
        metrics={"f1": 0.9},
        lineage=Lineage(
            data_fingerprint="made",
            split_seed=1,
            schema_digest="5" * 64,
            git_commit="unknown",
            parameters={},
            libraries={},
        ),
    )


def route(
    home: Home,
    url: str,
    *,
    environment: Environment = STAGING,
    model: str = MAILS,
    version: str = "1",
    contract: BundleContract | None = None,
) -> Path:
    """Writes a route as a promotion does; with a contract, its bundle can be read."""
    bundle, digest = home.root / "absent", "0" * 64
    if contract is not None:
        bundle = home.root / "bundles" / f"{model}-{version}"
        write_text(bundle / CONTRACT, contract.model_dump_json())
        digest = hashlib.sha256((bundle / CONTRACT).read_bytes()).hexdigest()
    written = Route(
        model=model,
        environment=environment,
        version=version,
        bundle=bundle,
        bundle_digest=digest,
        triton_http="127.0.0.1:1",
        triton_grpc="127.0.0.1:1",
        url=url,
        transformer=model == MAILS,
        since=SINCE,
    )
    path = route_file(home.serving, environment, model)
    write_text(path, written.model_dump_json())
    return path


class Stand:
    """A backend that was started."""

    def __init__(self, backend: OipBackend, measures: Measures) -> None:
        self.backend = backend
        self.measures = measures

    def value(self, metric: str, **labels: str) -> float | None:
        """Returns the value of a metric, or None if it was never set."""
        generate_latest(self.measures.registry)
        return self.measures.registry.get_sample_value(metric, labels)


@asynccontextmanager
async def backend(home: Home, **settings: Any) -> AsyncIterator[Stand]:
    """Yields a backend over the routes of `home`; settings are the defaults but for those given."""
    measures = Measures()
    made = OipBackend(GatewaySettings(**settings), home, measures)
    await made.start()
    try:
        yield Stand(made, measures)
    finally:
        await made.close()


def upstreams(models: Mapping[Environment, Mapping[str, str]]) -> dict[str, Any]:
    """Returns the settings of a cluster."""
    return {"upstreams": models, "direct_models": (FLOWERS,)}
