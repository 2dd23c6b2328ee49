"""`dashfusion reproduce`: the tables of the paper, ours beside them."""

import contextlib
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.fetching import fetch_encoder
from dashfusion_cli.messages import say_note, say_warning
from dashfusion_cli.output import Output
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import Session, session_of
from dashfusion_cli.settings import setting
from dashfusion_cli.values import parse_key_values
from dashfusion_models.errors import WeightsError

if TYPE_CHECKING:
    from dashfusion_training.paper.comparison import Comparison
    from dashfusion_training.paper.plan import Request

__all__ = ["register"]

_FAILED = 1


class Table(StrEnum):
    """The tables of the paper, and its figure of results."""

    table1 = "table1"
    table2 = "table2"
    table3 = "table3"
    table4 = "table4"
    table5 = "table5"
    fig4 = "fig4"


class Presets(StrEnum):
    """Whose presets."""

    paper = "paper"
    authors = "authors"


class Form(StrEnum):
    """The forms of a table."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    latex = "latex"


_Tables = Annotated[
    list[Table],
    typer.Argument(metavar="TABLE", help="Tables to reproduce: table1 to table5, or fig4."),
]
_Output = Annotated[
    Path,
    setting("--output", "-o", metavar="DIR", help="Folder for the tables and the trainings."),
]
_Seeds = Annotated[
    int,
    setting(
        "--seeds",
        metavar="N",
        min=1,
        help="Number of trainings per row, with the seeds 1111, 1112, …",
    ),
]
_Presets = Annotated[
    Presets, setting("--presets", help="Settings of the paper, or of the authors' code.")
]
_Set = Annotated[
    list[str] | None,
    setting(
        "--set", metavar="KEY=VALUE", help="Override a setting of every training; may be repeated."
    ),
]
_TextEncoder = Annotated[
    str | None,
    setting(
        "--text-encoder", metavar="NAME|PATH", help="Text encoder to use instead of BERT-base."
    ),
]
_Jobs = Annotated[
    int | None,
    setting(
        "--jobs",
        metavar="N",
        min=1,
        help="Number of trainings at once (default: one per GPU, or one per eight cores).",
    ),
]
_Form = Annotated[
    Form,
    setting(
        "--format", metavar="FORMAT", help="Output format: table, json, csv, markdown or latex."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example(
        "dashfusion reproduce table4 --data-root data --output reproduced",
        "dashfusion reproduce table2 table3 --seeds 1 --format markdown",
    )
    app.command(no_args_is_help=True, epilog=epilog)(reproduce)


def reproduce(
    context: typer.Context,
    tables: _Tables,
    data_root: opt.DataRoot = Path("data"),
    output: _Output = Path("reproduced"),
    seeds: _Seeds = 5,
    presets: _Presets = Presets.paper,
    set: _Set = None,
    text_encoder: _TextEncoder = None,
    jobs: _Jobs = None,
    device: opt.Device = "auto",
    format: _Form = Form.table,
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Run the trainings behind tables of the paper, and print its figures next to ours.

    Run it again to continue after an interruption; nothing is trained twice. Each table is also
    written to the output folder as CSV, JSON, Markdown and LaTeX, and fig4 as a plot. Exit code 1
    if anything is missing.
    """
    session = session_of(context)
    complete = True
    for number, table in enumerate(dict.fromkeys(tables)):
        comparison = _compared(_request(context.params, table), context.params, session)
        with Output(None) as out:
            out.write(_rendered(comparison, format, out, first=not number))
        complete = complete and comparison.complete
    say_note(f"written to {output}", session)
    if not complete:
        raise typer.Exit(_FAILED)


def _request(params: dict[str, Any], table: Table) -> "Request":
    from dashfusion_training.paper.plan import Request
    from dashfusion_training.paper.published import PAPER

    settings = parse_key_values(params["set"] or [])
    if params["text_encoder"] is not None:
        settings["text_encoder"] = json.dumps(params["text_encoder"])  # a text in TOML too
    return Request(
        table=PAPER[table.value],
        data_root=params["data_root"],
        output=params["output"],
        seeds=params["seeds"],
        preset_suffix="-authors" if params["presets"] is Presets.authors else "",
        settings=settings,
        offline=params["offline"],
    )


def _compared(request: "Request", params: dict[str, Any], session: Session) -> "Comparison":
    from dashfusion_cli.live import training_view
    from dashfusion_models.device import pick_device
    from dashfusion_training.paper.reproduce import reproduce
    from dashfusion_training.paper.side_by_side import devices_for

    def warn(text: str) -> None:
        say_warning(text, session)

    _fetch_encoders(request, session)
    devices = devices_for(pick_device(params["device"]), params["jobs"])
    if len(devices) == 1:
        with training_view(session) as view:
            return reproduce(request, devices=devices, watch=view, warn=warn)
    with show_progress(session) as board:
        return reproduce(request, devices=devices, report=board, warn=warn)


def _fetch_encoders(request: "Request", session: Session) -> None:
    """Fetch what trainings need; what cannot be fetched is told in the table."""
    for name in request.table.benchmarks if request.table.needs_training else ():
        if (request.data_root / name / "store.json").is_file():
            with contextlib.suppress(WeightsError):
                encoder = request.config(name).text_encoder
                fetch_encoder(encoder, offline=request.offline, session=session)


def _rendered(comparison: "Comparison", form: Form, out: Output, *, first: bool) -> bytes:
    """One table; of several the JSON is a line each, and the CSV has one header."""
    from dashfusion_cli.render.json import json_bytes
    from dashfusion_cli.render.paper import comparison_table
    from dashfusion_training.paper import documents

    between = "" if first else "\n"
    match form:
        case Form.json:
            return json_bytes(comparison.to_dict(), indent=None)
        case Form.csv:
            text = documents.comparison_csv(comparison)
            text = text if first else text.partition("\n")[2]
        case Form.table:
            text = between + comparison_table(comparison, out.look())
        case Form.markdown:
            text = between + documents.comparison_markdown(comparison)
        case Form.latex:
            text = between + documents.comparison_latex(comparison)
    return text.encode(out.encoding, "replace")
