"""The component `evaluate`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def evaluate(
    workload: str,
    seed: int,
    evaluation_seeds: list[int],
    features: dsl.Input[dsl.Artifact],
    fit: dsl.Input[dsl.Artifact],
    output: dsl.Output[dsl.Artifact],
) -> None:
    """Measures the model, and the recipe over several seeds."""
    from pipelines.task import perform
    from training.steps.evaluate import Evaluate

    perform(
        Evaluate(workload=workload, seed=seed, evaluation_seeds=tuple(evaluation_seeds)),
        {"features": features.path, "fit": fit.path},
        output.path,
    )
