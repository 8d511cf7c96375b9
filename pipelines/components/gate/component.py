"""The component `gate`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def gate(
    workload: str,
    seed: int,
    features: dsl.Input[dsl.Artifact],
    evaluate: dsl.Input[dsl.Artifact],
    export: dsl.Input[dsl.Artifact],
    register: dsl.Input[dsl.Artifact],
    output: dsl.Output[dsl.Artifact],
) -> None:
    """Accepts the version, or refuses it with reasons and fails."""
    from pipelines.task import perform
    from training.steps.gate import Gate

    perform(
        Gate(workload=workload, seed=seed),
        {
            "features": features.path,
            "evaluate": evaluate.path,
            "export": export.path,
            "register": register.path,
        },
        output.path,
    )
