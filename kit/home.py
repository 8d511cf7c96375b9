"""Where a machine keeps its state: one folder, laid out here and nowhere else."""

from pathlib import Path

from pydantic import Field, SecretStr

from kit.settings import Settings, settings_config


class HomeSettings(Settings):
    """What every process of Sluice on one machine shares."""

    owner = "kit"
    model_config = settings_config("SLUICE_")

    home: Path = Field(default=Path(".sluice"))
    """The folder of all local state; deleting it resets the machine."""

    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")
    """The least severity that is logged: DEBUG, INFO, WARNING or ERROR."""

    api_key: SecretStr | None = None
    """The key with which commands ask the gateway; unset means the development key of this machine."""


class Home:
    """The folders below `SLUICE_HOME`; nothing is made until something is written."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    @property
    def corpus(self) -> Path:
        """The normalised corpus, its quarantine and what was downloaded."""
        return self.root / "corpus"

    @property
    def features(self) -> Path:
        """Feast's registry and stores, and the sender events."""
        return self.root / "features"

    @property
    def records(self) -> Path:
        """The records database, when it is SQLite."""
        return self.root / "records.db"

    @property
    def serving(self) -> Path:
        """What serves on this machine: processes, routes, Triton's repositories, logs."""
        return self.root / "serving"

    @property
    def bundles(self) -> Path:
        """Bundles that were fetched from the registry, by model and version."""
        return self.root / "bundles"

    @property
    def reports(self) -> Path:
        """Pages and figures made for people."""
        return self.root / "reports"


def home() -> Home:
    """Returns the folders of this process' `SLUICE_HOME`.

    Raises:
        SettingsError: a `SLUICE_` variable is unknown or wrong.
    """
    return Home(HomeSettings.load().home)
