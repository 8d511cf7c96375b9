"""Which alert a person means: by its id, by its key, or by the beginning of either."""

import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import UsageError
from monitoring.alerts.text import plain
from records.columns import clean_text
from records.errors import RecordMissing
from records.tables import MonitoringAlert

_HEX: Final = re.compile(r"[0-9a-f]{1,32}")
_DIGITS: Final = 32
_SHOWN: Final = 5
_LONGEST: Final = 200


async def found(session: AsyncSession, wanted: str, *, open_only: bool) -> MonitoringAlert:
    """Returns the one alert that `wanted` means: of several with one key the open one, else the latest.

    Raises:
        UsageError: it may mean alerts of different keys; the message lists some.
        RecordMissing: there is none.
    """
    words = clean_text(wanted.strip())
    matching = await _matching(session, words, open_only=open_only)
    exact = [alert for alert in matching if words in (alert.key, str(alert.id), alert.id.hex)]
    open_ones = [alert for alert in exact or matching if alert.is_open]
    chosen = open_ones or exact or matching
    if not chosen:
        raise _missing(wanted, open_only=open_only)
    if len({alert.key for alert in chosen}) > 1:
        raise _ambiguous(wanted, chosen)
    return chosen[0]


async def _matching(session: AsyncSession, wanted: str, *, open_only: bool) -> Sequence[MonitoringAlert]:
    if not wanted:
        return []
    starts = [func.substr(MonitoringAlert.key, 1, len(wanted)) == wanted]
    digits = wanted.replace("-", "").lower()
    if _HEX.fullmatch(digits):
        first, last = UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f"))
        starts.append(MonitoringAlert.id.between(first, last))
    query = select(MonitoringAlert).where(or_(*starts))
    if open_only:
        query = query.where(MonitoringAlert.resolved_at.is_(None))
    query = query.order_by(
        MonitoringAlert.resolved_at.is_not(None), MonitoringAlert.opened_at.desc(), MonitoringAlert.id.desc()
    )
    return list(await session.scalars(query.limit(1000)))


def _missing(wanted: str, *, open_only: bool) -> RecordMissing:
    which = "open alert" if open_only else "alert"
    return RecordMissing(
        f"There is no {which} whose id or key begins with {plain(wanted, _LONGEST)!r}.",
        next_step=f"`sluice alerts list{'' if open_only else ' --all'}` shows them.",
    )


def _ambiguous(wanted: str, chosen: Sequence[MonitoringAlert]) -> UsageError:
    shown = ", ".join(plain(alert.key, _LONGEST) for alert in chosen[:_SHOWN])
    more = f" and {len(chosen) - _SHOWN} more" if len(chosen) > _SHOWN else ""
    return UsageError(
        f"{plain(wanted, _LONGEST)!r} is the beginning of {len(chosen)} alerts: {shown}{more}.",
        next_step="Write more of the key, or the whole id.",
    )
