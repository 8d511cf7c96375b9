"""`/metrics`: to the networks that settings name, and to admin keys from anywhere."""

from ipaddress import ip_address, ip_network

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request

from gateway.http import Document
from gateway.parts import Parts
from gateway.passage import Passage
from gateway.routes.lean import LeanRoute


class Measured:
    """Tells what is counted and timed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._networks = [ip_network(network) for network in parts.settings.metrics_networks]

    def routes(self) -> list[LeanRoute]:
        """Returns the route."""
        return [LeanRoute("/metrics", self.metrics, methods=["GET"])]

    async def metrics(self, _request: Request, passage: Passage) -> Document:
        """Tells what is counted and timed, as Prometheus reads it.

        Raises:
            KeyMissing: whoever asks is in none of the networks, and has no key.
            ScopeMissing: the key is no admin's.
        """
        if passage.proxied or not self._is_near(passage.address):
            caller = await self._parts.entry.caller(passage)
            self._parts.access.permit(caller, admin=True)
        return Document(generate_latest(self._parts.measures.registry), content_type=CONTENT_TYPE_LATEST)

    def _is_near(self, address: str) -> bool:
        try:
            asking = ip_address(address)
        except ValueError:
            # A socket of the machine's own file system has no address; whoever is behind it is not known.
            return False
        return any(asking in network for network in self._networks)
