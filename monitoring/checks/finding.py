"""What a check says of a cause, and whom a cause concerns when the gateway's figures name no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from contracts import metrics as contract
from contracts.environments import Environment
from monitoring.alerts.book import Sighting
from monitoring.checks.snapshot import Snapshot
from records.repositories import alerts, deployments
from records.repositories.alerts import Cause
from records.tables import MonitoringAlert
from records.tables.monitoring_alerts import AlertKind

ENOUGH: int = 20
"""Requests that a share is judged on; with fewer the next look goes on from the same place."""


class Finding(NamedTuple):
    """A cause that was seen, or was not (None), by a check that could tell."""

    cause: Cause
    sighting: Sighting | None


@dataclass(frozen=True)
class Look:
    """What a check is given: the figures now, those it looked at last, and the time."""

    now: Snapshot
    before: Snapshot | None
    at: datetime

    @property
    def since(self) -> datetime:
        """Since when figures grew as they did."""
        if self.before is None or self.before.began != self.now.began:
            return self.now.since
        return self.before.at


class Served(NamedTuple):
    """A model of an environment, and its version if that is known."""

    model: str
    version: str | None


async def served(session: AsyncSession, now: Snapshot, environment: Environment) -> list[Served]:
    """Returns the models of an environment: those that the gateway knows, and those of the ledger.

    The one that was moved last comes first.
    """
    known = {
        sample.labels["model"]: sample.labels["version"]
        for sample in now.of(contract.GATEWAY_MODEL, environment=environment.value)
        if sample.value == 1
    }
    moves = [move for move in await deployments.serving(session) if move.environment == environment]
    moves.sort(key=lambda move: move.created_at, reverse=True)
    found = {move.model_name: known.get(move.model_name, move.to_version) for move in moves}
    return [Served(model, version) for model, version in (found | known).items()]


async def open_alerts(
    session: AsyncSession, kind: AlertKind, *, family: str = "", environment: Environment | None = None
) -> Sequence[MonitoringAlert]:
    """Returns the open alerts of a kind and family, of one environment or of all."""
    listed = await alerts.listed(session, environment=environment, limit=1000)
    return [alert for alert in listed if alert.kind == kind and alert.family == family]


def cause_of(alert: MonitoringAlert) -> Cause:
    """Returns the cause that an alert is about."""
    return Cause(alert.model_name, Environment(alert.environment), AlertKind(alert.kind), alert.family)
