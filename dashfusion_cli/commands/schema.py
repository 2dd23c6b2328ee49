"""`dashfusion schema`: the JSON Schemas of what the tool writes."""

from enum import StrEnum
from importlib import resources
from typing import Annotated

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.output import Output

__all__ = ["Schema", "register", "schema_bytes"]


class Schema(StrEnum):
    """What has a schema."""

    analysis = "analysis"
    failure = "failure"
    report = "report"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(
        no_args_is_help=True,
        epilog=opt.example("dashfusion schema analysis", "dashfusion schema report -o report.json"),
    )(schema)


def schema(
    context: typer.Context,
    name: Annotated[
        Schema,
        typer.Argument(
            metavar="NAME",
            help="Schema to print: analysis (of analyze and batch), failure (of batch) or report "
            "(of eval).",
        ),
    ],
    output: opt.OutputFile = None,
    force: opt.Force = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Print the JSON Schema (2020-12) of an output."""
    with Output(output, force=force) as out:
        out.write(schema_bytes(name))


def schema_bytes(name: Schema) -> bytes:
    """Return a schema as it lies in the package."""
    return (resources.files("dashfusion_cli") / "schemas" / f"{name}.json").read_bytes()
