"""Who asks, what they may ask for, and how much: the gate that every request passes."""

import asyncio
import time
from collections.abc import Mapping
from typing import NoReturn

import structlog

from contracts import gateway as contract
from contracts.environments import Environment
from gateway.access import development
from gateway.access.callers import EVERYBODY, caller_of
from gateway.access.presented import NEXT_STEP, presented
from gateway.access.rates import Rate, Rates
from gateway.asked import Caller
from gateway.errors import AttemptsExceeded, KeyMissing, ScopeMissing
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from kit.api_keys.attempts import Attempts
from kit.api_keys.holders import Holders, told
from kit.home import Home

log = structlog.get_logger(__name__)


class Access:
    """Keys, scopes and rates of one gateway.

    Raises:
        SettingsError: GATEWAY_RATE_LIMIT_REDIS is no address of a Redis.
    """

    def __init__(self, settings: GatewaySettings, measures: Measures, home: Home) -> None:
        self._settings = settings
        self._keys_file = settings.keys_file or contract.keys_file(home.root)
        self._development_key_file = contract.development_key_file(home.root)
        self._holders = Holders(self._keys_file, caller_of)
        self._attempts = Attempts(settings.attempts_per_minute)
        self._rates = Rates(settings, measures)
        self._refused = {
            reason: measures.keys_refused.labels(reason)
            for reason in ("missing", "unknown", "revoked", "expired", "scope", "attempts")
        }

    async def start(self) -> None:
        """Reads the keys; on a developer's machine, makes the development key if it is not there.

        Raises:
            KeysUnreadable: the file of keys is broken.
            KeysUnwritable: the development key cannot be kept.
        """
        if self._settings.development:
            await asyncio.to_thread(development.ensured, self._keys_file, self._development_key_file)
        self._holders.start()
        if not self._settings.authentication:
            log.warning("no_authentication", next_step="Unset GATEWAY_AUTHENTICATION, or everybody may ask.")
        elif not self._holders.valid:
            log.warning(
                "no_keys",
                path=str(self._keys_file),
                next_step="Every request is refused until there is a key: sluice keys create NAME.",
            )

    async def close(self) -> None:
        """Closes what counts rates."""
        await self._rates.close()

    async def caller(self, headers: Mapping[str, str], address: str) -> Caller:
        """Returns who holds the key in the headers, whose names are in lower case.

        Where no key is needed, who sends none is everybody; a key that is sent must be a good one even so.

        Raises:
            KeyMissing: there is no key, two different ones, or one that is unknown, revoked or expired.
            AttemptsExceeded: it is unknown, and not the first such one from this address.
        """
        try:
            text = presented(headers)
        except KeyMissing:
            self._refused["missing"].inc()
            raise
        if text is None:
            if not self._settings.authentication:
                return EVERYBODY
            self._refused["missing"].inc()
            raise KeyMissing("The request holds no key.", next_step=NEXT_STEP)
        holder = self._holders.of(text)
        if holder is None:
            self._refuse_unknown(address)
        if holder.revoked:
            self._refused["revoked"].inc()
            raise KeyMissing("The key was revoked.", next_step="Ask for another one.")
        if time.time() >= holder.expires:
            self._refused["expired"].inc()
            raise KeyMissing(f"The key expired on {told(holder.expires)}.", next_step="Ask for another one.")
        return holder.who

    def permit(
        self,
        caller: Caller,
        *,
        environment: Environment | None = None,
        model: str | None = None,
        admin: bool = False,
    ) -> None:
        """Returns if the caller may ask this environment, this model, or for pages of admins.

        Raises:
            ScopeMissing: it may not; what it may is said.
        """
        if environment is not None and environment not in caller.environments:
            self._refuse_scope(caller, f"the environment {environment}", sorted(caller.environments))
        if model is not None and caller.models is not None and model not in caller.models:
            self._refuse_scope(caller, "this model", sorted(caller.models))
        if admin and not caller.admin:
            self._refuse_scope(caller, "pages of admins", sorted(caller.environments))

    async def spend(self, caller: Caller, count: int = 1, *, counted: int = 0) -> Rate:
        """Counts `count` requests of the caller, all or none, and returns what it may still send.

        `counted` of the same request were counted before, such as a batch that was let in as one.

        Raises:
            RateExceeded: there is not that much left; it tells when there will be.
            ValidationFailed: a key may never send that much at once.
        """
        return await self._rates.spend(caller, count, counted=counted)

    def _refuse_unknown(self, address: str) -> NoReturn:
        if wait_seconds := self._attempts.count(address):
            self._refused["attempts"].inc()
            most = self._settings.attempts_per_minute
            raise AttemptsExceeded(
                f"More than {most} wrong keys came from this address in a minute.",
                retry_after_seconds=wait_seconds,
            )
        self._refused["unknown"].inc()
        raise KeyMissing("Nobody has this key.", next_step="Check that it was copied whole.")

    def _refuse_scope(self, caller: Caller, what: str, scopes: list[str]) -> NoReturn:
        self._refused["scope"].inc()
        raise ScopeMissing(
            f"The key {caller.name} is not for {what}; it is for {', '.join(scopes) or 'none'}.",
            next_step="Ask for a key with this scope.",
        )
