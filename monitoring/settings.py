"""Settings of monitoring (prefix `MONITORING_`)."""

from typing import Literal

from pydantic import Field

from kit.settings import Settings, settings_config

DURATION = r"^[1-9][0-9]{0,5}[smhd]$"


class MonitoringSettings(Settings):
    """How often and how strictly traffic is compared with what a model was made on."""

    owner = "monitoring"
    model_config = settings_config("MONITORING_")

    # When, and over what.
    drift_every: str = Field(default="1h", pattern=DURATION)
    """How often the scheduler looks, as `30m`, `1h` or `1d`; a window that has too few rows yet waits and
    grows."""

    drift_window: str = Field(default="24h", pattern=DURATION)
    """How far back a run looks that is not told: from the end of the last measured window, but not further
    than this. Longer where traffic is thin."""

    drift_min_rows: int = Field(default=200, ge=20, le=1_000_000)
    """Predictions that a window must hold; fewer are refused."""

    drift_max_rows: int = Field(default=100_000, ge=100, le=1_000_000)
    """Predictions of a window that are looked at: its latest ones."""

    # How strictly.
    drift_false_alarms: float = Field(default=0.01, gt=0, le=0.2)
    """The share of runs that may find drift in any family where there is none."""

    drift_floor: float = Field(default=0.08, ge=0, le=1)
    """The least size of a drift: the share of predictions that have changed their place in a feature. A
    smaller one is told and is no drift, however sure it is."""

    drift_deals: int = Field(default=2000, ge=500, le=100_000)
    """Times that the rows are dealt out anew to see what chance does. With F families, a p-value must be able
    to fall below `drift_false_alarms` / F: more deals for stricter alarms."""

    # How good the answers are.
    performance_min_labels: int = Field(default=50, ge=10, le=1_000_000)
    """Labelled predictions that a window must hold for its live figures to be judged."""

    performance_window: str = Field(default="30d", pattern=DURATION)
    """How far back live figures look: labels come late, and slowly."""

    performance_floor: float = Field(default=0.05, ge=0, le=1)
    """The least fall of a figure below the certificate's that is told as one."""

    # What is written for people.
    report_when: Literal["drift", "always", "never"] = "drift"
    """When a run writes its HTML report: where something drifted, always or never. About 4 MB each."""

    report_columns: int = Field(default=8, ge=1, le=50)
    """Columns in the HTML report at most: what drifted, then what leads each family."""

    report_rows: int = Field(default=5000, ge=100, le=100_000)
    """Rows of each side that the HTML report draws; a random choice where there are more."""
