"""`dashfusion weights`: what pretrained weights there are, and where."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.output import Output
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import session_of
from dashfusion_cli.settings import setting

if TYPE_CHECKING:
    from dashfusion_models.weights import WeightStatus

__all__ = ["register"]

_Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Name of the weights, as shown by `dashfusion weights list`."
    ),
]
_Form = Annotated[opt.TableOrJson, setting("--format", help="Output format.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    weights = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        help="List, download, verify and locate pretrained weights.",
        epilog=opt.example("dashfusion weights list"),
    )
    for name, command, line in (
        ("list", list_weights, "dashfusion weights list"),
        ("pull", pull, "dashfusion weights pull whisper-small"),
        ("verify", verify, "dashfusion weights verify whisper-base"),
        ("path", path, "dashfusion weights path whisper-base"),
    ):
        weights.command(name, epilog=opt.example(line))(command)
    app.add_typer(weights, name="weights")


def list_weights(
    context: typer.Context,
    format: _Form = opt.TableOrJson.table,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """List the pretrained weights with their size, licence, location and purpose."""
    from dashfusion_models.weights import status

    found = status()
    with Output(None) as out:
        if format is opt.TableOrJson.json:
            from dashfusion_cli.render.json import json_bytes

            out.write(json_bytes([_plain(one) for one in found], indent=2))
        else:
            out.write(_table(found, out).encode(out.encoding, "replace"))


def pull(
    context: typer.Context,
    name: _Name,
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Download weights unless they are present, and print their path."""
    from dashfusion_models.weights import locate

    with show_progress(session_of(context)) as board:
        found = locate(name, offline=offline, report=board)
    _print(f"{found}")


def verify(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Weights to verify (default: all that are present)."),
    ] = None,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Verify the SHA-256 of weights."""
    from dashfusion_models.records import Progress
    from dashfusion_models.weights import status, verify

    wanted = names or [one.name for one in status() if one.path is not None]
    with show_progress(session_of(context)) as board:
        for number, name in enumerate(wanted):
            board(Progress("verify", number, len(wanted), "weights", note=name))
            found = verify(name)
            with board.aside():
                _print(f"{name}: sound, SHA-256 {found.sha256}")


def path(
    context: typer.Context,
    name: _Name,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Print the path of weights, without downloading anything."""
    from dashfusion_models.weights import locate

    _print(f"{locate(name, offline=True)}")


def _print(line: str) -> None:
    with Output(None) as out:
        out.write(f"{line}\n".encode("utf-8", "surrogateescape"))


def _plain(one: "WeightStatus") -> dict[str, Any]:
    return {**asdict(one), "path": None if one.path is None else str(one.path)}


def _table(found: "list[WeightStatus]", out: Output) -> str:
    from dashfusion_cli.render.plain import columns

    rows = [
        (
            one.name,
            f"{one.size_bytes / 1e6:.0f} MB" if one.size_bytes else "?",
            one.licence,
            _where(one),
            one.purpose,
        )
        for one in found
    ]
    return columns(("name", "size", "licence", "where", "purpose"), rows, out.look())


def _where(one: "WeightStatus") -> str:
    if one.source is None:
        return "missing"
    return one.source if one.verified else f"{one.source}, unchecked"
