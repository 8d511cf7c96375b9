"""The component `search`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def search(
    workload: str,
    seed: int,
    trials: int,
    time_budget_seconds: float,
    objective: str,
    folds: int,
    features: dsl.Input[dsl.Artifact],
    output: dsl.Output[dsl.Artifact],
) -> None:
    """Finds the best parameters."""
    from pipelines.task import perform
    from training.steps.search import Search

    perform(
        Search(
            workload=workload,
            seed=seed,
            trials=trials,
            time_budget_seconds=time_budget_seconds or None,
            objective=objective,
            folds=folds,
        ),
        {"features": features.path},
        output.path,
    )
