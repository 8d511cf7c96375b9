"""What the pages and hooks of one monitoring process share."""

from dataclasses import dataclass

from kit.home import Home
from monitoring.measures import Measures
from monitoring.settings import MonitoringSettings
from records.engine import Records


@dataclass(frozen=True)
class Parts:
    """Handed to `console.routes.routes`, `receiver.routes.routes` and the jobs by the clock."""

    settings: MonitoringSettings
    home: Home
    records: Records
    measures: Measures
