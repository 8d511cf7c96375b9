"""Settings of the Jobs API of a Ray head (prefix `RAY_JOBS_`)."""

from pydantic import SecretStr

from kit.settings import Settings, settings_config


class RayJobsSettings(Settings):
    """How commands with `--ray-jobs` speak to the Ray head that runs them."""

    owner = "kit"
    model_config = settings_config("RAY_JOBS_")

    token: SecretStr = SecretStr("")
    """Bearer token of the Jobs API; empty sends none. A setting, so that no shell history has it."""
