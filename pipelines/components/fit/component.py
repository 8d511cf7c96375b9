"""The component `fit`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def fit(
    workload: str,
    seed: int,
    workers: int,
    features: dsl.Input[dsl.Artifact],
    search: dsl.Input[dsl.Artifact],
    output: dsl.Output[dsl.Artifact],
) -> None:
    """Fits the final model on the best parameters."""
    from pipelines.task import perform
    from training.steps.fit import Fit

    perform(
        Fit(workload=workload, seed=seed, workers=workers),
        {"features": features.path, "search": search.path},
        output.path,
    )
