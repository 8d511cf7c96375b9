"""`sluice gateway`: run the gateway, and print what it offers."""

from pathlib import Path

import typer

gateway = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Run the gateway, and print what it offers."
)


@gateway.command()
def serve() -> None:
    """Run the gateway in this terminal until it is told to end (Ctrl+C).

    It is set by variables (`GATEWAY_…`, docs/reference/settings.md). On this machine `sluice up` runs it
    beside everything else.
    """
    from gateway.server import serve as run

    run()


@gateway.command()
def openapi(
    output: Path | None = typer.Option(None, help="Write it to this file instead of standard output."),
) -> None:
    """Print the OpenAPI document of the gateway, whatever this machine's settings are."""
    from gateway.documentation.committed import rendered
    from kit.files import write_text

    if output is None:
        typer.echo(rendered(), nl=False)
    else:
        write_text(output, rendered())
