"""How fast a pool of processes scores the corpus, against the same code in one process without Ray."""

import tempfile
import time
from pathlib import Path
from typing import Final

from contracts.corpus import SHA256
from contracts.workloads import DEFAULT
from feature_repo.settings import FeatureRepoSettings
from kit.benchmark import Figure
from kit.bundle import Bundle
from kit.errors import UsageError
from kit.home import Home
from serving.batch.rows import Limits
from serving.batch.run import Request, score
from serving.batch.scoring import Model
from serving.batch.source import source
from serving.settings import ServingSettings

_COPIES: Final = 3
_STARTING_PARTS: Final = 4
"""Parts in which the processes open their graphs; the steady rate is that of the others."""


def batch(home: Home) -> list[Figure]:
    """Returns e-mails a second of the pool and of one process, and those of the whole command.

    The newest version of the registry scores the corpus, three times over; senders are not looked up.

    Raises:
        UsageError: there is no corpus, or no version.
        RayUnavailable: Ray does not start.
    """
    from feature_repo.corpus_events import corpus_path

    corpus = corpus_path(home)
    if not corpus.exists():
        raise UsageError("There is no corpus to measure on.", next_step="Run `sluice data fetch` first.")
    version, bundle = _newest(home)
    serving, reader = ServingSettings.load(), FeatureRepoSettings.load()
    with tempfile.TemporaryDirectory(prefix="sluice-batch-") as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for copy in range(_COPIES):
            (folder / "in" / f"{copy}.parquet").symlink_to(corpus.absolute())
        ended: list[tuple[float, int]] = []
        outcome = score(
            home,
            Request(folder / "in", folder / "out", DEFAULT, version, id_column=SHA256, history=False),
            bundle,
            serving=serving,
            reader=reader,
            on_part=lambda rows: ended.append((time.perf_counter(), rows)),
        )
        steady = sum(rows for _, rows in ended[_STARTING_PARTS:])
        pooled = steady / (ended[-1][0] - ended[_STARTING_PARTS - 1][0])
        alone = _alone(corpus, Model(bundle, version, reader, None), serving.batch_part_rows)
    rows = outcome.manifest.rows
    return [
        Figure(
            "batch scoring, processes warm", pooled, "e-mails/s", aim="3,000 on 2 cores",
            peer="one process", ratio=pooled / alone,
        ),
        Figure("batch scoring, one process", alone, "e-mails/s", note="nothing is written"),
        Figure(
            "batch scoring, whole command", rows / outcome.seconds, "e-mails/s",
            note=f"{rows:,} e-mails, with the start of Ray and of the processes",
        ),
    ]  # fmt: skip


def _alone(corpus: Path, model: Model, part_rows: int) -> float:
    limits = Limits(model.bundle.contract, SHA256, model.reader.message_max_bytes)
    first, *parts = source(corpus).parts(limits, part_rows)
    model.table(first.read(limits))
    begun = time.perf_counter()
    rows = sum(int(model.table(part.read(limits))[0].num_rows) for part in parts)
    return rows / (time.perf_counter() - begun)


def _newest(home: Home) -> tuple[str, Bundle]:
    from records.bundles import fetched
    from records.model_registry import opened

    registry = opened(home)
    versions = registry.versions(DEFAULT)
    if not versions:
        raise UsageError(f"There is no version of {DEFAULT}.", next_step="Run `sluice pipeline run` first.")
    return versions[0].version, fetched(registry, home, DEFAULT, versions[0].version)
