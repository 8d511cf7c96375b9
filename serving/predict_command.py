"""`sluice predict`: ask the gateway of this machine for e-mails in files."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.environments import DEFAULT as DEFAULT_ENVIRONMENT
from contracts.environments import Environment
from contracts.workloads import DEFAULT

if TYPE_CHECKING:
    from contracts.explanations import Explanation
    from kit.errors import SluiceError
    from serving.prediction import Prediction


def predict(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="E-mails as they came, one each; - is standard input."),
    ],
    environment: Annotated[
        Environment, typer.Option("--environment", "--env", "-e", help="Who is asked: staging or production.")
    ] = DEFAULT_ENVIRONMENT,
    explain: Annotated[bool, typer.Option("--explain", help="Show what decided: terms and numbers.")] = False,
    direct: Annotated[
        bool, typer.Option("--direct", help="Ask the model's own server, past the gateway and its records.")
    ] = False,
    workload: Annotated[
        str, typer.Option("--workload", metavar="NAME", help="The model that is asked.")
    ] = DEFAULT,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the answers as JSON, one for each file.")
    ] = False,
) -> None:
    """Ask what serves in an environment for its verdict on e-mails.

    Needs `sluice up`: the gateway is asked with the development key, as any client asks it, and remembers
    what it answered under the request id that is told (`sluice feedback` takes it). A file that cannot be
    asked does not keep the others from it: it stands among the answers with its reason, and the exit code is
    1.

    Examples: `sluice predict mail.eml` · `sluice predict inbox/*.eml --env production --json` ·
    `cat mail.eml | sluice predict - --explain`
    """
    import sys

    from kit.errors import CallerError, ExitCode, SluiceError
    from kit.home import home
    from kit.terminal import print_json
    from serving import gateway_client
    from serving.prediction import Asking, message_of, route_of
    from serving.settings import ServingSettings

    settings, answers = ServingSettings.load(), list["Prediction | SluiceError"]()
    route = route_of(home(), workload, environment)
    seconds = settings.triton_answer_seconds
    with (
        Asking(route, timeout_seconds=seconds)
        if direct
        else gateway_client.Asking(*gateway_client.gateway_of(home()), environment, timeout_seconds=seconds)
    ) as server:
        for name in files:
            try:
                answers.append(server.asked(message_of(name, sys.stdin.buffer), explain=explain))
            except CallerError as error:
                if len(files) == 1:
                    raise
                answers.append(error)
    if as_json:
        print_json([_as_json(name, answer) for name, answer in zip(files, answers, strict=True)])
    else:
        _print(files, answers)
    if any(isinstance(answer, SluiceError) for answer in answers):
        raise typer.Exit(ExitCode.FAILED)


def _as_json(name: str, answer: "Prediction | SluiceError") -> dict[str, Any]:
    from kit.errors import SluiceError, problem

    if isinstance(answer, SluiceError):
        return {"file": name, "problem": problem(answer)}
    told = answer.explanation.model_dump() if answer.explanation else None
    return {"file": name, **asdict(replace(answer, explanation=None)), "explanation": told}


def _print(files: list[str], answers: "list[Prediction | SluiceError]") -> None:
    from kit.errors import SluiceError
    from kit.terminal import print_table

    rows, served = [], dict[str, None]()
    for name, answer in zip(files, answers, strict=True):
        if isinstance(answer, SluiceError):
            rows.append((answer.title, "", "", "", f"{name}: {answer.message}"))
            continue
        threshold = "" if answer.threshold is None else f", threshold {answer.threshold:.4f}"
        served[f"{answer.model} {answer.version} in {answer.environment}{threshold}"] = None
        took = f"{answer.milliseconds:.1f} ms"
        rows.append((answer.verdict, f"{answer.probability:.4f}", took, answer.request_id or "", name))
    title = f"Verdicts of {', and of '.join(served)}" if served else "Verdicts"
    print_table(title, ("verdict", "probability", "took", "request id", "e-mail"), rows)
    for name, answer in zip(files, answers, strict=True):
        if not isinstance(answer, SluiceError) and answer.explanation is not None:
            _print_explanation(name, answer.explanation)


def _print_explanation(name: str, told: "Explanation") -> None:
    from kit.terminal import print_table

    rows = [(each.name, f"{each.value:.4g}", f"{each.contribution:+.3f}") for each in told.top]
    rows += [
        ("everything else", "", f"{told.rest:+.3f}"),
        ("an average e-mail", "", f"{told.base_value:+.3f}"),
        ("together", "", f"{told.margin:+.3f}"),
    ]
    print_table(f"What decided {name}", ("term or number", "value", f"log odds of {told.toward}"), rows)
