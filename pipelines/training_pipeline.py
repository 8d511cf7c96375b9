"""The training pipeline: which step needs which, and nothing else.

Every gate is a task that fails; there is no condition, because a condition that goes wrong skips its branch
and the run still ends well. Outputs travel as artifacts, so that the tasks of a cluster share no disk but the
one that holds the data.
"""

from typing import Any, Final

from kfp import dsl

from pipelines.components.close.component import close
from pipelines.components.evaluate.component import evaluate
from pipelines.components.export.component import export
from pipelines.components.features.component import features
from pipelines.components.fit.component import fit
from pipelines.components.gate.component import gate
from pipelines.components.load.component import load
from pipelines.components.register.component import register
from pipelines.components.search.component import search
from pipelines.components.stage.component import stage
from pipelines.components.validate.component import validate
from pipelines.profiles import Profiled

NAME: Final = "sluice-training"
_DESCRIPTION: Final = "From data to a certified model version that the gate accepted, in staging."
OUTPUT: Final = "output"


def build(profiled: Profiled, *, closing: bool) -> Any:
    """Returns the pipeline; `profiled` gives each task what it needs on a cluster.

    With `closing` a last task runs whatever happened before, and writes down how the run ended. On one
    machine the command does that itself: it outlives its steps.
    """

    def tasks(
        workload: Any,
        seed: Any,
        trials: Any,
        time_budget_seconds: Any,
        objective: Any,
        folds: Any,
        workers: Any,
        evaluation_seeds: Any,
        **origin: Any,
    ) -> None:
        done: dict[str, Any] = {}

        def add(name: str, task: Any) -> None:
            profiled(name, task.set_display_name(name))
            done[name] = task.outputs[OUTPUT]

        def of(*names: str) -> dict[str, Any]:
            return {name: done[name] for name in names}

        add("load", load(workload=workload, **origin))
        add("validate", validate(workload=workload, **of("load")))
        add(
            "features",
            features(workload=workload, seed=seed, evaluation_seeds=evaluation_seeds, **of("validate")),
        )
        add(
            "search",
            search(
                workload=workload,
                seed=seed,
                trials=trials,
                time_budget_seconds=time_budget_seconds,
                objective=objective,
                folds=folds,
                **of("features"),
            ),
        )
        add("fit", fit(workload=workload, seed=seed, workers=workers, **of("features", "search")))
        add(
            "evaluate",
            evaluate(
                workload=workload, seed=seed, evaluation_seeds=evaluation_seeds, **of("features", "fit")
            ),
        )
        add("export", export(workload=workload, seed=seed, **of("features", "fit", "evaluate")))
        add("register", register(workload=workload, **of("fit", "evaluate", "export")))
        add("gate", gate(workload=workload, seed=seed, **of("features", "evaluate", "export", "register")))
        add("stage", stage(workload=workload, **of("register", "gate")))

    @dsl.pipeline(name=NAME, description=_DESCRIPTION)
    def training_pipeline(
        workload: str,
        seed: int = 0,
        trials: int = 20,
        time_budget_seconds: float = 0.0,
        objective: str = "f1",
        folds: int = 3,
        workers: int = 1,
        evaluation_seeds: list[int] = [0, 1, 2, 3, 4],  # noqa: B006 - kfp reads the default, nothing changes it
        trigger: str = "manual",
        trigger_reason: str = "",
        announced: str = "",
    ) -> None:
        given = (workload, seed, trials, time_budget_seconds, objective, folds, workers, evaluation_seeds)
        origin = {"trigger": trigger, "trigger_reason": trigger_reason, "announced": announced}
        if not closing:
            tasks(*given, **origin)
            return
        last = close(workload=workload)
        profiled("close", last.set_display_name("close"))
        with dsl.ExitHandler(last, name="training"):
            tasks(*given, **origin)

    return training_pipeline
