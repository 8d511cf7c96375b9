"""Batch scoring from its request to its manifest: plan the parts, score them on Ray, close the output.

What is done stays done: a part is a file that is whole or absent, and a run that was killed goes on with the
others. One part alone is scored in this process, without Ray, whose start takes longer.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from feature_repo.settings import FeatureRepoSettings
from kit.bundle import Bundle
from kit.errors import UsageError
from kit.files import locked, sha256_of
from kit.home import Home
from kit.interrupts import terminating_as_interrupt
from serving.batch import output, pool
from serving.batch.errors import InputChanged, PartsFailed, ScoringStopped
from serving.batch.output import Done, Manifest
from serving.batch.rows import Limits
from serving.batch.source import Part, Source, source
from serving.batch.worker import Failure, Job
from serving.settings import ServingSettings

OnPart = Callable[[int], None]
"""Called with the number of rows of each part that is done, also of those that were done before."""


@dataclass(frozen=True)
class Request:
    """What one batch scoring is asked for."""

    path: Path
    out: Path
    model: str
    version: str
    id_column: str = "id"
    history: bool = True
    """Look the senders' histories up; False takes every sender for unknown."""
    resume: bool = False
    concurrency: int | None = None
    """Processes that score; None means one for each CPU of the Ray."""


@dataclass(frozen=True)
class Outcome:
    """A finished output, and what it took."""

    manifest: Manifest
    parts_before: int
    """Parts that an earlier run had done."""
    seconds: float
    scoring_seconds: float
    """From the first process that was ready to the last part, without the start of Ray."""


def score(
    home: Home,
    request: Request,
    bundle: Bundle,
    *,
    serving: ServingSettings,
    reader: FeatureRepoSettings,
    planned: Callable[[int], None] = lambda _rows: None,
    on_part: OnPart = lambda _rows: None,
) -> Outcome:
    """Returns the finished output of `request`, whose version's verified bundle is `bundle`.

    Raises:
        InputRefused: the input is absent, empty, damaged, or lacks a column.
        InputChanged: it changed while it was read.
        OutputTaken, OutputDiffers: the output folder holds something else.
        Locked: another process writes there.
        PartsFailed: a part could not be scored or written.
        ScoringStopped: it was interrupted.
        RayUnavailable: Ray did not start or does not answer.
    """
    started = time.monotonic()
    inside = request.out.absolute().is_relative_to(request.path.absolute())
    if inside or request.path.absolute().is_relative_to(request.out.absolute()):
        raise UsageError("The output folder and the input lie in one another: choose another folder.")
    given = source(request.path)
    limits = Limits(bundle.contract, request.id_column, reader.message_max_bytes)
    before = given.digest()
    parts = given.parts(limits, serving.batch_part_rows)
    planned(sum(part.rows for part in parts))
    with (
        _writable(request.out),
        locked(request.out / output.LOCK, what=f"Scoring into {request.out}"),
        terminating_as_interrupt(),
    ):
        asked = _manifest(
            request, bundle, given, parts, digest=before, part_rows=serving.batch_part_rows, reader=reader
        )
        manifest, done = output.opened(request.out, asked, resume=request.resume)
        if manifest.status == output.FINISHED:
            output.checked(request.out, manifest)
            on_part(manifest.rows)
            return Outcome(manifest, manifest.parts, time.monotonic() - started, 0)
        known = len(done)
        if done:
            on_part(sum(part.rows for part in done.values()))
        job = Job(
            home=home.root,
            out=request.out.absolute(),
            model=request.model,
            version=request.version,
            bundle=bundle.folder.absolute(),
            bundle_digest=bundle.digest,
            limits=limits,
            reader=reader,
            history_at=manifest.history_at,
            mark=manifest.mark,
        )
        missing = [(number, part) for number, part in enumerate(parts) if number not in done]
        scoring = time.monotonic()
        try:
            with pool.results(job, missing, serving, concurrency=request.concurrency) as results:
                scoring = time.monotonic()
                for result in results:
                    if isinstance(result, Failure):
                        raise _failed(result, len(done), len(parts))
                    done[result.number] = result
                    on_part(result.rows)
        except KeyboardInterrupt as exc:
            raise ScoringStopped(
                f"Stopped; {len(done)} of {len(parts)} parts are done.",
                next_step="Go on where it was: the same command with --resume.",
            ) from exc
        scored = time.monotonic() - scoring
        if given.digest() != before:
            raise InputChanged(
                f"{request.path} was written to while it was scored.",
                next_step="Score it into a new folder, once nobody writes to it.",
            )
        closed = _closed(request.out, manifest, done)
    return Outcome(closed, known, time.monotonic() - started, scored)


def _manifest(
    request: Request,
    bundle: Bundle,
    given: Source,
    parts: Sequence[Part],
    *,
    digest: str,
    part_rows: int,
    reader: FeatureRepoSettings,
) -> Manifest:
    now = datetime.now(UTC)
    looks_up = request.history and Limits(bundle.contract, "", 0).reads_mail
    return Manifest(
        request={
            "input": digest,
            "form": given.kind.value,
            "model": request.model,
            "version": request.version,
            "bundle_digest": bundle.digest,
            "schema_digest": bundle.contract.schema_digest,
            "history": looks_up,
            "id_column": request.id_column,
            "part_rows": part_rows,
            "message_max_bytes": reader.message_max_bytes,
            "message_max_parts": reader.message_max_parts,
            "message_max_depth": reader.message_max_depth,
            "message_max_tokens": reader.message_max_tokens,
        },
        parts=len(parts),
        rows=sum(part.rows for part in parts),
        history_at=now if looks_up else None,
        started_at=now,
    )


def _closed(out: Path, manifest: Manifest, done: Mapping[int, Done]) -> Manifest:
    """Returns the manifest of the finished output; its counts add up, or it is not finished."""
    verdicts: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for part in done.values():
        verdicts.update(part.verdicts)
        problems.update(part.problems)
    rows = sum(part.rows for part in done.values())
    if not rows == manifest.rows == verdicts.total() + problems.total():
        raise InputChanged(
            f"{manifest.rows} rows were counted at first and {rows} were scored.",
            next_step="Score the input into a new folder, once nobody writes to it.",
        )
    counts: dict[str, JsonValue] = {
        "rows": rows,
        "scored": verdicts.total(),
        "verdicts": dict(sorted(verdicts.items())),
        "problems": dict(sorted(problems.items())),
        "known_senders": sum(part.known_senders for part in done.values()),
    }
    names = [output.part_name(number) for number in sorted(done)]
    return output.finished(out, manifest, counts, {name: sha256_of(out / name) for name in names})


def _failed(failure: Failure, done: int, parts: int) -> PartsFailed:
    advice = "The finished parts stay: the same command with --resume goes on with the others."
    return PartsFailed(
        f"{failure.title}: {failure.message} {done} of {parts} parts are done.",
        next_step=f"{failure.next_step} {advice}" if failure.next_step else advice,
    )


@contextlib.contextmanager
def _writable(out: Path) -> Iterator[None]:
    """Makes the output folder, and tells what the disk says in this process."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        raise PartsFailed(
            f"{out} cannot be written: {exc.strerror or type(exc).__name__}.",
            next_step="Check the path, its permissions and the disk; --resume keeps finished parts.",
        ) from exc
