"""The component `export`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def export(
    workload: str,
    seed: int,
    features: dsl.Input[dsl.Artifact],
    fit: dsl.Input[dsl.Artifact],
    evaluate: dsl.Input[dsl.Artifact],
    output: dsl.Output[dsl.Artifact],
) -> None:
    """Exports the model, proves the export equal to it, and writes the bundle."""
    from pipelines.task import perform
    from training.steps.export import Export

    perform(
        Export(workload=workload, seed=seed),
        {"features": features.path, "fit": fit.path, "evaluate": evaluate.path},
        output.path,
    )
