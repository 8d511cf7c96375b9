"""A `sluice` command on a Ray head instead of here: its lines, its result and its exit code are passed on.

The head needs the same code, with `sluice` on its PATH. It has settings of its own; what it should take from
this process is named, variable by variable, because Ray shows a job's variables to whoever sees its jobs.
"""

import json
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from typing import Annotated, Any, Final, NoReturn

import typer

from kit.errors import ExitCode, UsageError
from kit.ray.settings import RayJobsSettings

RayJobs = Annotated[
    str | None,
    typer.Option(
        "--ray-jobs",
        metavar="URL",
        help="Run as a job on this Ray head, by its Jobs API; lines and exit code are passed on. Paths are "
        "those of the head.",
    ),
]
RayVariables = Annotated[
    list[str],
    typer.Option(
        "--ray-variable",
        metavar="NAME",
        help="With --ray-jobs: a variable of this shell that the job gets; may be given again.",
    ),
]
OPTIONS: Final = frozenset({"ray_jobs", "ray_variable"})
"""The parameters of a command that are not handed on."""


def run_on_head(
    words: Sequence[str], address: str, settings: RayJobsSettings, *, variables: Sequence[str], as_json: bool
) -> int:
    """Runs `sluice WORDS` as a job, hands on what it prints, and returns its exit code.

    With `as_json` the lines go to standard error, and the document that ends them to standard output.

    Raises:
        UsageError: a named variable is not set here.
        JobsAddressWrong, JobsUnreachable, JobsRefused: the head cannot be reached or does not take the job.
        JobFailed: the job did not come to its own end.
        JobStopped: somebody stopped it.
    """
    from kit.ray.jobs import JobFailed, JobRequest, JobsEndpoint, run_job

    missing = sorted(name for name in variables if name not in os.environ)
    if missing:
        raise UsageError(f"{', '.join(missing)} is not set here, so that the job cannot get it.")
    request = JobRequest(("sluice", *words), environment={name: os.environ[name] for name in variables})
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    code = int(ExitCode.DONE)
    try:
        run_job(JobsEndpoint(address, settings.token), request, on_line=take)
    except JobFailed as failed:
        # By one of these codes a command leaves that has told its own error.
        if failed.job_exit_code not in set(ExitCode):
            raise
        code = failed.job_exit_code
    if as_json:
        sys.stdout.writelines(f"{line}\n" for line in document_at_the_end(lines))
    return code


def leave_with_the_head(
    context: typer.Context, address: str, variables: Sequence[str], *, as_json: bool
) -> NoReturn:
    """Runs the command of `context` on the head, and leaves with the exit code that it has there.

    Raises:
        Exit: always.
        UsageError, JobsAddressWrong, JobsUnreachable, JobsRefused, JobFailed, JobStopped: as `run_on_head`.
    """
    words, settings = words_of(context), RayJobsSettings.load()
    raise typer.Exit(run_on_head(words, address, settings, variables=variables, as_json=as_json))


def document_at_the_end(lines: Sequence[str]) -> list[str]:
    """Returns the lines of the JSON document that ends `lines`; none if there is none."""
    for at in range(len(lines) - 1, -1, -1):
        if lines[at] in ("{", "[", "{}", "[]"):
            try:
                json.loads("\n".join(lines[at:]))
            except ValueError:
                return []
            return list(lines[at:])
    return []


def words_of(context: typer.Context, *, without: Collection[str] = OPTIONS) -> list[str]:
    """Returns the words that call the command of `context` again with the same parameters."""
    _, *words = context.command_path.split()
    options: list[str] = []
    arguments: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if parameter.name in without or value is None or value == parameter.default:
            continue
        if parameter.param_type_name == "argument":
            arguments += _texts(value)
        elif value is True:
            options.append(parameter.opts[0])
        else:
            options += (word for text in _texts(value) for word in (parameter.opts[0], text))
    return [*words, *options, "--", *arguments] if arguments else [*words, *options]


def _texts(value: Any) -> Iterator[str]:
    for each in value if isinstance(value, (list, tuple)) else [value]:
        yield str(each.value if isinstance(each, Enum) else each)
