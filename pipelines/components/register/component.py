"""The component `register`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def register(
    workload: str,
    fit: dsl.Input[dsl.Artifact],
    evaluate: dsl.Input[dsl.Artifact],
    export: dsl.Input[dsl.Artifact],
    output: dsl.Output[dsl.Artifact],
) -> None:
    """Registers the bundle as a new model version."""
    from pipelines.task import perform
    from training.steps.register import Register

    perform(
        Register(workload=workload),
        {"fit": fit.path, "evaluate": evaluate.path, "export": export.path},
        output.path,
    )
