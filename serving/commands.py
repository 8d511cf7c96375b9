"""`sluice up`, `down`, `status` and `logs`: what serves on this machine."""

from typing import Annotated, Any

import typer

from contracts.environments import Environment

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
_FOLDER = "State and logs lie under SLUICE_HOME, in `serving/`."


def up(
    environment: Annotated[
        list[Environment] | None,
        typer.Option(
            "--environment", "-e", metavar="NAME", help="Only this one: staging or production. Repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve on this machine what the aliases staging and production point at.

    Starts a Triton for each environment with every model in it, a transformer where a model has one, the
    gateway before them all, the monitoring process (console, drift and messages by the clock) and MLflow's
    pages; waits until they are ready. Tells where gateway and console answer, and the development key that
    both let in. Run it again at any time: it starts what is missing, and moves
    what an alias has left behind. What it starts goes on without it: `sluice down` ends it.
    """
    from kit.errors import ExitCode
    from kit.home import home
    from kit.terminal import print_json, say
    from serving.local.door import door
    from serving.local.status import status
    from serving.local.up import up as bring_up

    wanted = environment or list(Environment)

    def told(what: str, seconds: float) -> None:
        say(f"{what}: ready after {seconds:.1f} s")

    outcome = bring_up(home(), wanted, told=told)
    found = status(home())
    at = door(home()) if found.gateway is not None else None
    if as_json:
        problems = [problem.__dict__ for problem in outcome.problems]
        gateway = {**found.gateway.__dict__, **at.as_json()} if found.gateway and at else None
        told_of = {"gateway": gateway, "problems": problems, "hints": outcome.hints}
        print_json({**found.as_json(), **told_of})
    else:
        _print_models(found)
        _print_processes(found)
        if at is not None:
            _say_door(at)
        else:
            _say_examples(found)
        _say_console(found)
        for hint in outcome.hints:
            say(hint)
        for problem in outcome.problems:
            say(f"{problem.what}: {problem.message}")
            if problem.next_step:
                say(f"Next: {problem.next_step}")
    if outcome.problems:
        raise typer.Exit(ExitCode.FAILED)


def down(as_json: AsJson = False) -> None:
    """End everything that `sluice up` started, and leave no process and no socket behind.

    Works also when the process manager was killed. The ports are remembered for the next `sluice up`.
    """
    from kit.home import home
    from kit.terminal import print_json, say
    from serving.local.stack import Stack
    from serving.settings import ServingSettings

    ran = Stack(home(), ServingSettings.load()).stop()
    if as_json:
        print_json({"ended": ran})
    else:
        say("Everything was ended." if ran else "Nothing was running.")


def status(
    as_json: AsJson = False,
    as_targets: Annotated[
        bool, typer.Option("--targets", help="Print where metrics are, as a target file of Prometheus.")
    ] = False,
) -> None:
    """Tell which versions answer where, and what each process is doing; exit 1 if something is missing."""
    from kit.errors import ExitCode
    from kit.home import home
    from kit.terminal import print_json, say
    from serving.local.status import status as found_status
    from serving.local.targets import targets

    found = found_status(home())
    if as_targets:
        print_json(targets(found.processes))
    elif as_json:
        print_json(found.as_json())
    else:
        _print_models(found)
        _print_processes(found)
        _say_gateway(found)
        _say_console(found)
        for sentence in (*found.notes, *found.problems):
            say(sentence)
    if found.problems:
        raise typer.Exit(ExitCode.FAILED)


def logs(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="As `sluice status` calls the process.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is added, until Ctrl-C.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of the end.")] = 50,
) -> None:
    """Print the end of a process's log; without a name, or with an unknown one, tell which there are."""
    import sys

    from kit.errors import UsageError
    from kit.home import home
    from serving.local import logs as found_logs

    files = found_logs.files(home().serving)
    if name is None or name not in files:
        there = f"There are: {', '.join(files)}." if files else "There are none yet: sluice up"
        raise UsageError(f"{name} has no log. {there}" if name else f"Which one? {there}")
    for line in found_logs.last(files[name], lines):
        sys.stdout.write(f"{line}\n")
    if follow:
        try:
            for line in found_logs.followed(files[name]):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        except KeyboardInterrupt:
            return


def _print_models(found: Any) -> None:
    from kit.terminal import print_table

    rows = [
        (
            each.environment,
            each.model,
            each.served or "none",
            each.alias or "none",
            "ready" if each.ready else "not ready",
            (each.url or "").removeprefix("http://"),
        )
        for each in found.models
    ]
    if rows:
        print_table("Models", ("environment", "model", "answers", "alias", "state", "address"), rows)


def _print_processes(found: Any) -> None:
    from kit.terminal import print_table
    from serving.local.status import uptime

    rows = [
        (
            each.name,
            each.state,
            each.pid or "",
            f"{each.memory_bytes / 1e6:.0f} MB" if each.pid else "",
            uptime(each.since),
            each.restarts,
            each.addresses.get("http", ""),
        )
        for each in found.processes
    ]
    if rows:
        columns = ("process", "state", "pid", "memory", "up", "restarts", "address")
        print_table("Processes", columns, rows)


def _say_gateway(found: Any) -> None:
    from kit.terminal import say

    if found.gateway is not None:
        told = found.gateway.environments
        words = [f"{name} {'ready' if ready else 'not ready'}" for name, ready in told.items()]
        say(f"Gateway at {found.gateway.url}: {', '.join(words) or 'it does not answer'}")


def _say_door(at: Any) -> None:
    from kit.terminal import say

    say(f"Gateway: {at.url}")
    say(f"Its pages: {at.docs}")
    if at.key is None:
        return
    say("Development key, and a request:")
    # As they are, each in one line: they are there to be pasted.
    typer.echo(f"  {at.key}", err=True)
    typer.echo(f"  {at.example}", err=True)


def _say_console(found: Any) -> None:
    from kit.terminal import say

    if found.monitoring is not None:
        how = "the development key" if found.gateway else "an admin key: sluice keys create NAME --admin"
        say(f"Console: {found.monitoring.console} (sign in with {how})")


def _say_examples(found: Any) -> None:
    from kit.terminal import say
    from serving.local import example

    for each in found.models:
        if not each.ready:
            continue
        command = example.request(each.url, each.model, None if each.transformer else each.served)
        if command:
            say(f"Ask {each.model} in {each.environment}:")
            # As it is, in one line: it is there to be pasted.
            typer.echo(f"  {command}", err=True)
