"""A circuit breaker: a server that fails again and again is left alone for a while.

Counting, opening and the time until the next try are `circuitbreaker`'s. It lets everybody through when that
time is over, and knows only success and failure; so here one request alone tries, and what says nothing of
the server (a caller who left, or whose own time was too short) counts as neither.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from circuitbreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker

from gateway.errors import Overloaded, UpstreamDown, UpstreamFailed, UpstreamLate
from gateway.settings import GatewaySettings
from gateway.upstream.addresses import Address
from kit.errors import SluiceError

log = structlog.get_logger(__name__)

_LEAST_SHARE: Final = 0.5
"""Of the time that a request has by the settings: who waited less in vain chose a short time himself."""
_STATES: Final = {STATE_CLOSED: 0.0, STATE_HALF_OPEN: 0.5, STATE_OPEN: 1.0}


class Breaker:
    """Of one model's server in one environment."""

    def __init__(self, address: Address, settings: GatewaySettings) -> None:
        self._address = address
        self._patience_seconds = settings.timeout_seconds * _LEAST_SHARE
        self._circuit = CircuitBreaker(
            failure_threshold=settings.breaker_failures,
            recovery_timeout=settings.breaker_seconds,
            name=f"{address.model} in {address.environment}",
        )
        self._trying = False

    def state(self) -> float:
        """Returns what the gauge tells: 0 closed, 1 open, 0.5 when one request may try."""
        return _STATES[self._circuit.state]

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Lets a request through and learns from how it ends.

        Raises:
            UpstreamDown: the server is left alone now.
        """
        trial = self._circuit.state != STATE_CLOSED
        if trial and (self._trying or self._circuit.opened):
            raise UpstreamDown(
                f"{self._circuit.name} has failed {self._circuit.failure_count} times in a row and is left "
                "alone for a moment.",
                next_step="Try again shortly.",
                retry_after_seconds=max(1, self._circuit.open_remaining),
            )
        self._trying = self._trying or trial
        begun = time.monotonic()
        try:
            yield
        except (UpstreamDown, UpstreamFailed) as exc:
            self._failed(exc)
            raise
        except UpstreamLate as exc:
            if time.monotonic() - begun >= self._patience_seconds:
                self._failed(exc)
            raise
        except Overloaded:
            raise
        except SluiceError:
            self._answered()
            raise
        else:
            self._answered()
        finally:
            if trial:
                self._trying = False

    def _answered(self) -> None:
        if self._circuit.failure_count:
            if self._circuit.state != STATE_CLOSED:
                log.info("breaker_closed", model=self._address.model, environment=self._address.environment)
            self._circuit.reset()

    def _failed(self, error: SluiceError) -> None:
        was_closed = self._circuit.closed
        self._circuit.__exit__(type(error), error, None)
        if was_closed and not self._circuit.closed:
            log.warning(
                "breaker_opened",
                model=self._address.model,
                environment=self._address.environment,
                code=error.code,
            )
