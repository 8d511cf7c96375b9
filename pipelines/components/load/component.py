"""The component `load`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def load(workload: str, output: dsl.Output[dsl.Artifact]) -> None:
    """Brings the workload's data onto the machine."""
    from pipelines.task import perform
    from training.steps.load import Load

    perform(Load(workload=workload), {}, output.path)
