"""`dashfusion data`: the benchmarks' official feature files, and the stores made of them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.forms import form_of
from dashfusion_cli.messages import say_warning
from dashfusion_cli.output import Output, files_read
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import session_of
from dashfusion_cli.settings import setting

__all__ = ["register"]


class Name(StrEnum):
    """The benchmarks by name."""

    mosi = "mosi"
    mosei = "mosei"
    sims = "sims"


_Benchmark = Annotated[Name, typer.Argument(help="Benchmark that the file belongs to.")]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="Official feature file (.pkl).")]
_StoreFolder = Annotated[Path, setting("--output", "-o", metavar="STORE", help="Folder to create.")]
_Store = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of a store.")]
_StoreOrFile = Annotated[
    Path,
    typer.Argument(metavar="STORE|FILE", help="Folder of a store, or an official feature file."),
]
_Form = Annotated[opt.TableOrJson, setting("--format", help="Output format.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    usual = "dashfusion data prepare mosi unaligned_50.pkl --output data/mosi"
    data = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        help="Prepare the benchmarks' official feature files; inspect and verify stores.",
        epilog=opt.example(usual),
    )
    for name, command, line in (
        ("prepare", prepare, usual),
        ("info", info, "dashfusion data info data/mosi"),
        ("verify", verify, "dashfusion data verify data/mosi"),
    ):
        data.command(name, no_args_is_help=True, epilog=opt.example(line))(command)
    app.add_typer(data, name="data")


def prepare(
    context: typer.Context,
    benchmark: _Benchmark,
    file: _File,
    output: _StoreFolder,
    format: _Form = opt.TableOrJson.table,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Convert a benchmark's official feature file to a store for training.

    No code in the file is executed. Numbers of samples that differ from the paper's table I, and a
    SHA-256 that is not the published one, are reported as warnings.
    """
    from dashfusion_cli.render.data import prepared_bytes
    from dashfusion_training import benchmarks
    from dashfusion_training.official.prepare import prepare as prepared

    session = session_of(context)
    with show_progress(session) as board:
        found = prepared(benchmarks.benchmark(benchmark.value), file, output, board)
    for warning in found.warnings:
        say_warning(f"{file}: {warning}", session)
    with Output(None) as out:
        out.write(prepared_bytes(found, format.value, out))


def info(
    context: typer.Context,
    store: _Store,
    format: _Form = opt.TableOrJson.table,
    output: opt.OutputFile = None,
    force: opt.Force = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Show what a store contains: samples of each split, labels, features and origin."""
    from dashfusion_cli.render.data import facts_bytes
    from dashfusion_training.store_facts import describe

    form = form_of(context, opt.TableOrJson)
    with Output(output, force=force, reads=files_read(context.params)) as out:
        out.write(facts_bytes(describe(store), form.value, out))


def verify(
    context: typer.Context,
    path: _StoreOrFile,
    format: _Form = opt.TableOrJson.table,
    output: opt.OutputFile = None,
    force: opt.Force = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Verify the SHA-256 of a store or of an official feature file.

    Each shard of a store is compared with the checksum recorded when it was prepared, a file with
    the published files of the benchmarks. Exit code 1 if one differs or is unknown.
    """
    from dashfusion_cli.render.data import verified_bytes
    from dashfusion_training.store_facts import verify

    form = form_of(context, opt.TableOrJson)
    with Output(output, force=force, reads=files_read(context.params)) as out:
        with show_progress(session_of(context)) as board:
            found = verify(path, board)
        out.write(verified_bytes(found, form.value, out))
