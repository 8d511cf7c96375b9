"""The component `stage`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def stage(
    workload: str,
    register: dsl.Input[dsl.Artifact],
    gate: dsl.Input[dsl.Artifact],
    output: dsl.Output[dsl.Artifact],
) -> None:
    """Points staging at the accepted version."""
    from pipelines.staging import Stage
    from pipelines.task import perform

    perform(Stage(workload=workload), {"register": register.path, "gate": gate.path}, output.path)
