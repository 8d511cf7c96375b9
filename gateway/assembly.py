"""The gateway's real parts, put together from settings."""

from gateway.access.access import Access
from gateway.access.turns import Turns
from gateway.access_log import AccessLog
from gateway.app import Gateway, application
from gateway.backends.backend import Backend
from gateway.measures import Measures
from gateway.memory.memory import Memory
from gateway.settings import GatewaySettings
from gateway.shadow import Shadow
from kit.home import Home
from kit.settings import SettingsError
from records.engine import Records, build_engine
from records.settings import RecordsSettings


def assembled(settings: GatewaySettings, home: Home, log: AccessLog | None = None) -> Gateway:
    """Returns the gateway that `settings` describe, with its state below `home`; nothing is open yet.

    Raises:
        SettingsError: a setting is missing or wrong, or leaves the door open.
    """
    if not (settings.authentication or settings.development or settings.protected_otherwise):
        raise SettingsError(
            "GATEWAY_AUTHENTICATION is off outside development.",
            next_step="Unset it. If something before the gateway lets in only who may: "
            "GATEWAY_PROTECTED_OTHERWISE=true.",
        )
    measures = Measures()
    backend = _backend(settings, home, measures)
    records = Records(build_engine(RecordsSettings.load()))
    memory = Memory(settings, records, measures, home)
    gateway = application(
        settings,
        backend=backend,
        access=Access(settings, measures, home),
        turns=Turns(settings, measures),
        memory=memory,
        measures=measures,
        shadow=Shadow(settings, backend, memory, measures),
        log=log,
    )
    gateway.at_end(records.close)
    return gateway


def _backend(settings: GatewaySettings, home: Home, measures: Measures) -> Backend:
    if settings.backend == "embedded":
        # Heavy: it brings ONNX Runtime and the feature code.
        from gateway.backends.embedded import EmbeddedBackend

        return EmbeddedBackend(settings, home, measures)
    from gateway.backends.oip import OipBackend

    return OipBackend(settings, home, measures)
