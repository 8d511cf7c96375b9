"""The component `features`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def features(
    workload: str,
    seed: int,
    evaluation_seeds: list[int],
    validate: dsl.Input[dsl.Artifact],
    output: dsl.Output[dsl.Artifact],
) -> None:
    """Makes features, point in time, and keeps the rows for every later step."""
    from pipelines.task import perform
    from training.steps.features import Features

    perform(
        Features(workload=workload, seed=seed, evaluation_seeds=tuple(evaluation_seeds)),
        {"validate": validate.path},
        output.path,
    )
