"""`dashfusion eval`: the metrics of a checkpoint on labelled data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.messages import say_warning
from dashfusion_cli.output import Output
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import session_of
from dashfusion_cli.settings import setting
from dashfusion_cli.values import parse_classes, parse_modalities

if TYPE_CHECKING:
    from dashfusion_training.evaluate import Report

__all__ = ["register"]

_Split = Annotated[str, setting("--split", help="train, valid or test.")]
_Modalities = Annotated[
    str, setting("--modalities", metavar="LIST", help="What the network may use.")
]
_Predictions = Annotated[
    Path | None,
    setting("--predictions", metavar="FILE.csv", help="Also write id, label, prediction."),
]
_Classes = Annotated[
    str | None, setting("--classes", metavar="NAME=SCORE,…", help="Default: the checkpoint's own.")
]
_Form = Annotated[opt.ReportForm, setting("--format", help="The form of the report.")]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example("dashfusion eval --checkpoint dashfusion-mini --dataset clips.csv")
    app.command("eval", no_args_is_help=True, epilog=epilog)(evaluate)


def evaluate(
    context: typer.Context,
    dataset: opt.Datasets,
    checkpoint: opt.Checkpoint = "dashfusion-mini",
    split: _Split = "test",
    modalities: _Modalities = "text,audio,vision",
    classes: _Classes = None,
    media_root: opt.MediaRoot = None,
    predictions: _Predictions = None,
    format: _Form = opt.ReportForm.table,
    output: opt.OutputFile = None,
    force: opt.Force = False,
    device: opt.Device = "auto",
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Compare a checkpoint's scores with the labels of a data set."""
    from dashfusion_models.analyzer import locate_checkpoint
    from dashfusion_models.device import pick_device
    from dashfusion_models.engines import Engines
    from dashfusion_training.evaluate import evaluate_stores
    from dashfusion_training.sources import open_sources

    session = session_of(context)
    kept = parse_modalities(modalities)
    where = pick_device(device)
    with Output(output, force=force) as out, Output(predictions, force=force) as table:
        with show_progress(session) as board:
            engines = Engines(device=str(where), offline=offline)
            try:
                stores = open_sources(
                    dataset,
                    media_root=media_root,
                    engines=engines,
                    report=board,
                    warn=lambda text: say_warning(text, session),
                )
            finally:
                engines.close()
            reports = evaluate_stores(
                locate_checkpoint(checkpoint, offline=offline),
                stores,
                split=split,
                modalities=kept,
                classes=parse_classes(classes) if classes else None,
                device=where,
            )
        for number, report in enumerate(reports):
            out.write(_render(report, format, first=number == 0))
            if predictions is not None:
                table.write(_predictions_csv(report, header=number == 0))


def _render(report: "Report", form: opt.ReportForm, *, first: bool) -> bytes:
    from dashfusion_cli.render import report as render

    match form:
        case opt.ReportForm.json:
            return render.report_json(report)
        case opt.ReportForm.csv:
            return render.report_csv(report, header=first)
        case opt.ReportForm.table:
            return render.report_table(report)


def _predictions_csv(report: "Report", *, header: bool) -> bytes:
    from dashfusion_cli.render.report import predictions_csv

    return predictions_csv(report, header=header)
