"""The pipeline as a file for Kubeflow Pipelines: KFP 2 IR and the Kubernetes part beside it."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from kit.files import replaced
from pipelines.settings import PipelinesSettings


def compile_to(path: Path, settings: PipelinesSettings) -> None:
    """Writes the pipeline for a cluster to `path` as YAML: two documents, the IR and the platform's part."""
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        # The compiler goes by the ending of the name, which a part file does not have.
        made = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(_built(settings), str(made))
        with replaced(path) as part:
            part.write_bytes(made.read_bytes())


def documents(settings: PipelinesSettings) -> dict[str, Any]:
    """Returns what the API takes as a pipeline: `pipeline_spec`, and `platform_spec` for Kubernetes.

    Made once for what it depends on, and read by everybody: it is not to be changed.
    """
    return _documents(settings.image, settings.image_pull_policy, settings.volume_claim, settings.secret)


@cache
def _documents(image: str, image_pull_policy: str, volume_claim: str, secret: str) -> dict[str, Any]:
    import yaml

    settings = PipelinesSettings(
        image=image, image_pull_policy=image_pull_policy, volume_claim=volume_claim, secret=secret
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compile_to(path, settings)
        specification, *platform = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    found: dict[str, Any] = {"pipeline_spec": specification}
    if platform:
        found["platform_spec"] = platform[0]
    return found


def _built(settings: PipelinesSettings) -> Any:
    from pipelines.profiles import for_cluster
    from pipelines.training_pipeline import build

    return build(for_cluster(settings), closing=True)
