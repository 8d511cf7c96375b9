"""Where one model answers in one environment, and what is known of the version there."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Self

import structlog
from pydantic import ValidationError
from yarl import URL

from contracts.bundle import CONTRACT, BundleContract
from contracts.environments import Environment
from contracts.routes import Route
from kit.errors import UsageError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Address:
    """One model of one environment; its URLs are made of routes and settings, not of callers' words."""

    model: str
    environment: Environment
    url: str
    """Root of the Open Inference Protocol."""
    transformer: bool
    """True if it takes e-mails; False if Triton is asked directly."""
    version: str | None = None
    """The registry's version; None where only the server knows it."""
    since: datetime | None = None
    contract: BundleContract | None = field(default=None, compare=False, repr=False)
    """Of the version's bundle, where it can be read."""

    @classmethod
    def of(cls, route: Route) -> Self:
        """Returns the address that a route names."""
        return cls(
            model=route.model,
            environment=route.environment,
            url=route.url.rstrip("/"),
            transformer=route.transformer,
            version=route.version,
            since=route.since,
            contract=_contract(route),
        )

    @classmethod
    def configured(cls, environment: Environment, model: str, url: str, *, transformer: bool) -> Self:
        """Returns the address that the settings name.

        Raises:
            UsageError: it is no address of a server.
        """
        parsed = URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query_string or parsed.user:
            raise UsageError(
                f"GATEWAY_UPSTREAMS: the address of {model} in {environment} is not of a server.",
                next_step="Write it as http://HOST:PORT, without /v2.",
            )
        return cls(model=model, environment=environment, url=url.rstrip("/"), transformer=transformer)

    @cached_property
    def health(self) -> URL:
        """Where the server tells whether the model is ready: a transformer is for one, Triton for many."""
        return URL(f"{self.url}/v2/health/ready", encoded=True) if self.transformer else self.page("ready")

    @cached_property
    def infer(self) -> URL:
        """Where it is asked; Triton by version, if that is known."""
        return self.page("infer")

    def page(self, name: str | None = None, version: str | None = None) -> URL:
        """Returns the page `name` of the model, or its description; of `version`, which has been checked."""
        if version is None and not self.transformer:
            version = self.version
        parts = [self.url, "v2", "models", self.model]
        if version is not None:
            parts += ["versions", version]
        return URL("/".join([*parts, *([name] if name else [])]), encoded=True)


def _contract(route: Route) -> BundleContract | None:
    """Returns the contract of the route's bundle, if it is there and the one that the route means."""
    try:
        text = (route.bundle / CONTRACT).read_bytes()
        if hashlib.sha256(text).hexdigest() == route.bundle_digest:
            return BundleContract.model_validate_json(text)
        reason = "another digest"
    except OSError as exc:
        reason = type(exc).__name__
    except ValidationError:
        reason = "not a contract"
    log.warning("bundle_unreadable", model=route.model, environment=route.environment, reason=reason)
    return None
