"""The component `close`: a plug, and not a program."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def close(workload: str) -> None:
    """Writes down how a run on a cluster ended, whatever happened before."""
    from pipelines.closing import close_run

    close_run(workload)
