"""Parts of an evaluation that know nothing of each other, worked on by several processes where that pays."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

_WORTH_PROCESSES: Final = 3000
"""From so many rows on, a fit takes longer than the start of a process."""
_MOST: Final = 4


def side_by_side(parts: Sequence[Callable[[], Any]], *, rows: int, processes: int) -> Iterator[Any]:
    """Yields what each of `parts` returns, in their order; an error of one ends them all.

    Args:
        parts: Functions that can be pickled (by cloudpickle, closures too).
        rows: Of the data that each part fits on and judges; few are not worth a process.
        processes: At most so many; 0 means one for each CPU that this process may use, and at most four,
            since each holds a copy of the data.
    """
    most = processes or min(len(os.sched_getaffinity(0)), _MOST)
    if rows < _WORTH_PROCESSES or min(most, len(parts)) <= 1:
        return (part() for part in parts)
    from joblib import Parallel, delayed

    # Their results come while others are still at work. Arrays go by pickle: mapped files would be read-only.
    work = Parallel(n_jobs=min(most, len(parts)), return_as="generator", max_nbytes=None)
    results: Iterator[Any] = work(delayed(part)() for part in parts)
    return results
