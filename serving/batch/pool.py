"""The pool of processes that score parts: Ray Data over the list of parts, one actor for each CPU.

The dataset holds where the parts lie, not their rows: every process reads and writes its own, so that no mail
goes through the driver or the object store. A process that dies is begun again by Ray, and its part with it;
`worker.py` bounds how often.
"""

import contextlib
import logging
import pickle
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final

from kit.errors import UsageError
from kit.ray.session import opened
from serving.batch.errors import PartsFailed
from serving.batch.output import Done
from serving.batch.source import Part
from serving.batch.worker import Failure, Job, PartWorker, packed
from serving.settings import ServingSettings

RAY_LOG: Final = "_ray/ray.log"
"""Below the output; readers of Parquet leave names with `_` aside."""


@contextlib.contextmanager
def results(
    job: Job, parts: Sequence[tuple[int, Part]], settings: ServingSettings, *, concurrency: int | None
) -> Iterator[Iterator[Done | Failure]]:
    """Yields what becomes of each part, as they end.

    A single part is worked on in this process: Ray would take longer to start.

    Raises:
        RayUnavailable: Ray did not start or does not answer.
        UsageError: more processes are asked for than there are CPUs.
        PartsFailed: the pool ended before the parts.
    """
    if len(parts) <= 1:
        yield (PartWorker(job).result(number, part) for number, part in parts)
        return
    with opened(settings, log=job.out / RAY_LOG) as cpus:
        if concurrency is not None and concurrency > cpus:
            raise UsageError(f"{concurrency} processes are asked for, and Ray has {cpus} CPUs.")
        with contextlib.closing(_pooled(job, parts, min(concurrency or cpus, len(parts)))) as found:
            yield found


def _pooled(
    job: Job, parts: Sequence[tuple[int, Part]], processes: int
) -> Generator[Done | Failure, None, None]:
    import ray.data
    from ray.exceptions import RayError

    # Ray Data gives its loggers handlers of its own when it is imported: what it says goes to our log.
    logger = logging.getLogger("ray.data")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.INFO)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    items = [packed(number, part) for number, part in parts]
    answers = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        PartWorker,
        fn_constructor_args=(job,),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=processes, max_tasks_in_flight_per_actor=2),
        num_cpus=1,
    )
    try:
        # Left open, it would speak to Ray when it is collected, and start a new one if this one has ended.
        rows: Any = iter(answers.iter_rows())
        with contextlib.closing(rows):
            for row in rows:
                yield pickle.loads(row["result"])  # noqa: S301 - our own, from a process of the pool
    except RayError as exc:
        raise PartsFailed(
            f"The pool of processes ended ({type(exc).__name__}).",
            next_step=f"Ray's words are in {job.out / RAY_LOG}; --resume keeps finished parts.",
        ) from exc
