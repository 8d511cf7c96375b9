"""Which place of serving a process means: this machine, or a cluster."""

from kit.home import Home
from records.model_registry import ModelRegistry
from serving.deployers.deployer import Deployer
from serving.deployers.settings import DeploymentSettings, Place
from serving.settings import ServingSettings


def chosen(home: Home, registry: ModelRegistry) -> Deployer:
    """Returns the deployer that DEPLOYMENT_PLACE names.

    Raises:
        SettingsError: a setting is wrong, or one that a cluster needs is missing.
        ServingUnreachable: there are no credentials for the cluster.
    """
    settings = DeploymentSettings.load()
    if settings.place is Place.CLUSTER:
        from records.bundles import fetched
        from serving.deployers.kserve import opened

        return opened(settings, lambda model, version: fetched(registry, home, model, version))
    from serving.deployers.local import LocalDeployer
    from serving.local.stack import Stack

    return LocalDeployer(Stack(home, ServingSettings.load()))
