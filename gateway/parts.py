"""What routes work with, put together once."""

from dataclasses import dataclass

from gateway.access.access import Access
from gateway.access.turns import Turns
from gateway.backends.backend import Backend
from gateway.bodies import Bodies
from gateway.entry import Entry
from gateway.measures import Measures
from gateway.memory.memory import Memory
from gateway.remembering import Remembering
from gateway.settings import GatewaySettings
from gateway.shadow import Shadow


@dataclass(frozen=True)
class Parts:
    """The parts of a gateway."""

    settings: GatewaySettings
    backend: Backend
    access: Access
    turns: Turns
    memory: Memory
    measures: Measures
    shadow: Shadow
    entry: Entry
    bodies: Bodies
    remembering: Remembering
