"""The component `load`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def load(
    workload: str, trigger: str, trigger_reason: str, announced: str, output: dsl.Output[dsl.Artifact]
) -> None:
    """Writes that a run on a cluster has begun, and brings the workload's data onto the machine."""
    from pipelines.task import perform
    from training.steps.load import Load

    origin = {"trigger": trigger, "trigger_reason": trigger_reason, "announced": announced}
    perform(Load(workload=workload), {}, output.path, origin=origin)
