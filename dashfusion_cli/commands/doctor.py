"""`dashfusion doctor`: would `analyze` run here, and if not, how to fix it."""

from dataclasses import asdict
from typing import Annotated

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.output import Output, stdout_for_results_only
from dashfusion_cli.settings import setting

__all__ = ["register"]

_COLORS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(
        epilog=opt.example("dashfusion doctor", "dashfusion doctor --offline --format json")
    )(doctor)


def doctor(
    context: typer.Context,
    format: Annotated[
        opt.TableOrJson, setting("--format", help="Output format.")
    ] = opt.TableOrJson.table,
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Check that analyze can run here, and show how to fix what is missing."""
    from dashfusion_cli.checks import State, all_checks
    from dashfusion_cli.render.json import json_bytes
    from dashfusion_cli.render.plain import columns

    with stdout_for_results_only():
        checks = list(all_checks(offline=offline))
    ready = all(check.state is not State.fail for check in checks)
    with Output(None) as out:
        if format is opt.TableOrJson.json:
            body = {"ready": ready, "checks": [asdict(check) for check in checks]}
            out.write(json_bytes(body, indent=2))
        else:
            rows = [
                (
                    check.name,
                    (check.state.value, _COLORS[check.state]),
                    check.fact + (f"\n-> {check.fix}" if check.fix else ""),
                )
                for check in checks
            ]
            table = columns(("check", "", "found"), rows, out.look())
            out.write(table.encode(out.encoding, "replace"))
    raise typer.Exit(0 if ready else 1)
