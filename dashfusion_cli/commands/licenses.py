"""`dashfusion licenses`: under which licence every part of the tool comes."""

from dataclasses import asdict
from typing import Annotated

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.output import Output
from dashfusion_cli.settings import setting

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(epilog=opt.example("dashfusion licenses", "dashfusion licenses --format json"))(
        licenses
    )


def licenses(
    context: typer.Context,
    format: Annotated[
        opt.TableOrJson, setting("--format", help="Output format.")
    ] = opt.TableOrJson.table,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """List the licences of all dependencies and weights."""
    from dashfusion_cli.parts import all_parts
    from dashfusion_cli.render.json import json_bytes
    from dashfusion_cli.render.plain import columns

    parts = list(all_parts())
    with Output(None) as out:
        if format is opt.TableOrJson.json:
            out.write(json_bytes([asdict(part) for part in parts], indent=2))
            return
        rows = [
            (f"{part.name} {part.version}".strip(), part.kind, part.licence, part.note)
            for part in parts
        ]
        table = columns(("part", "kind", "licence", ""), rows, out.look())
        out.write(table.encode(out.encoding, "replace"))
