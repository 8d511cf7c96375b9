"""The component `validate`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def validate(workload: str, load: dsl.Input[dsl.Artifact], output: dsl.Output[dsl.Artifact]) -> None:
    """Refuses data that is not fit to train on."""
    from pipelines.task import perform
    from training.steps.validate import Validate

    perform(Validate(workload=workload), {"load": load.path}, output.path)
