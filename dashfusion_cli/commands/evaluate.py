"""`dashfusion eval`: the metrics of a checkpoint on labelled data."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.fetching import fetch_encoder_of
from dashfusion_cli.forms import form_of
from dashfusion_cli.messages import say_warning
from dashfusion_cli.output import Output, files_read
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import Session, session_of
from dashfusion_cli.settings import setting
from dashfusion_cli.values import parse_classes, parse_modalities

if TYPE_CHECKING:
    import torch

    from dashfusion_cli.progress import Board
    from dashfusion_models.records import Modality
    from dashfusion_models.store import Store
    from dashfusion_training.evaluate import Report
    from dashfusion_training.missing import MissingReport

__all__ = ["register"]


class Missing(StrEnum):
    """The protocols of missing data by name."""

    random = "random"
    subsets = "subsets"


_Split = Annotated[
    str, setting("--split", metavar="NAME", help="Split to evaluate: train, valid or test.")
]
_Modalities = Annotated[
    str | None,
    setting(
        "--modalities",
        metavar="LIST",
        help="Modalities to use, separated by commas, such as text,audio (default: all that the "
        "checkpoint was trained with).",
    ),
]
_MissingOption = Annotated[
    Missing | None,
    setting(
        "--missing",
        help="Evaluate with missing data: steps lost at random (random), or every subset of the "
        "modalities (subsets).",
    ),
]
_Predictions = Annotated[
    Path | None,
    setting(
        "--predictions",
        metavar="FILE.csv",
        help="Also write the id, label and prediction of each sample to FILE.csv, with its file, "
        "video_id, clip_id and text.",
    ),
]
_Classes = Annotated[
    str | None,
    setting(
        "--classes",
        metavar="NAME=SCORE,…",
        help="Score of each class label (default: as in the training of the checkpoint).",
    ),
]
_Form = Annotated[
    opt.ReportForm,
    setting(
        "--format", help="Output format (default: that of the ending of --output, else table)."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example(
        "dashfusion eval --dataset clips.csv",
        "dashfusion eval --checkpoint runs/mosi/best.safetensors --dataset mosi --format json",
        "dashfusion eval --dataset clips.csv --missing random",
        "dashfusion eval --dataset clips.csv --predictions predictions.csv",
        "dashfusion eval --dataset clips.csv --missing subsets --predictions predictions.csv",
    )
    app.command("eval", no_args_is_help=True, epilog=epilog)(evaluate)


def evaluate(
    context: typer.Context,
    dataset: opt.Datasets,
    checkpoint: opt.Checkpoint = "dashfusion-mini",
    split: _Split = "test",
    modalities: _Modalities = None,
    missing: _MissingOption = None,
    classes: _Classes = None,
    media_root: opt.MediaRoot = None,
    data_root: opt.DataRoot = Path("data"),
    cache_limit: opt.CacheLimit = 5.0,
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
    """Evaluate a checkpoint on labelled data."""
    from dashfusion_cli.render.report import predictions_csv
    from dashfusion_models.device import pick_device
    from dashfusion_models.weights import locate_checkpoint

    _refuse_together(missing, modalities=modalities)
    if output and predictions and output.absolute() == predictions.absolute():
        raise typer.BadParameter("gives the same name as --output", param_hint="--predictions")
    form = form_of(context, opt.ReportForm)
    session = session_of(context)
    asked = _Asked(
        checkpoint=locate_checkpoint(checkpoint, offline=offline),
        split=split,
        classes=parse_classes(classes) if classes else None,
        modalities=None if modalities is None else parse_modalities(modalities),
        missing=missing,
        device=pick_device(device),
    )
    fetch_encoder_of(asked.checkpoint, offline=offline, session=session)
    reads = files_read(context.params)
    with (
        Output(output, force=force, reads=reads) as out,
        Output(predictions, force=force, reads=reads, option="--predictions") as table,
    ):
        with show_progress(session) as board:
            stores = _open_stores(context, board, asked)
            reports = list(_reports(asked, stores, board))
        for number, report in enumerate(reports):
            at_end = number == len(reports) - 1
            out.write(_render(report, form, first=number == 0, last=at_end))
            if predictions is not None:
                table.write(predictions_csv(report, header=number == 0))
            _warn_of_learned(report, session)


@dataclass(frozen=True)
class _Asked:
    """What is to be compared, as the command line says it."""

    checkpoint: Path
    split: str
    classes: "dict[str, float] | None"
    modalities: "tuple[Modality, ...] | None"
    missing: Missing | None
    device: "torch.device"


def _refuse_together(missing: Missing | None, **others: object) -> None:
    for name, value in others.items():
        if missing is not None and value is not None:
            raise typer.BadParameter(f"does not go with --{name}", param_hint="--missing")


def _open_stores(context: typer.Context, board: "Board", asked: _Asked) -> "dict[str, Store]":
    """Open the data sets, with what the network is to read of them."""
    from dashfusion_models.checkpoint_about import checkpoint_facts
    from dashfusion_models.engines import Engines
    from dashfusion_training.evaluate import modalities_of
    from dashfusion_training.sources import open_sources

    params, path = context.params, asked.checkpoint
    engines = Engines(device=str(asked.device), offline=params["offline"])
    try:
        return open_sources(
            params["dataset"],
            media_root=params["media_root"],
            data_root=params["data_root"],
            modalities=modalities_of(checkpoint_facts(path), path, asked.modalities),
            engines=engines,
            report=board,
            warn=lambda text: say_warning(text, session_of(context)),
            cache_bytes=params["cache_limit"] * 1e9,
        )
    finally:
        engines.close()


def _reports(
    asked: _Asked, stores: "dict[str, Store]", board: "Board"
) -> "Iterator[Report | MissingReport]":
    from dashfusion_training.evaluate import evaluate_stores
    from dashfusion_training.missing import evaluate_missing

    if asked.missing is None:
        yield from evaluate_stores(
            asked.checkpoint,
            stores,
            split=asked.split,
            modalities=asked.modalities,
            classes=asked.classes,
            device=asked.device,
            report=board,
        )
    else:
        yield from evaluate_missing(
            asked.checkpoint,
            stores,
            protocol=asked.missing.value,
            split=asked.split,
            classes=asked.classes,
            device=asked.device,
            report=board,
        )


def _render(
    report: "Report | MissingReport", form: opt.ReportForm, *, first: bool, last: bool
) -> bytes:
    from dashfusion_cli.render import report as render

    match form:
        case opt.ReportForm.json:
            return render.report_json(report)
        case opt.ReportForm.csv:
            return render.report_csv(report, header=first)
        case opt.ReportForm.table:
            return render.report_table(report, legend=last)


def _warn_of_learned(report: "Report | MissingReport", session: Session) -> None:
    """Say so where the checkpoint learned from what it is compared with."""
    if report.trained_on:
        say_warning(
            f"{report.dataset}: {report.trained_on} of {report.n} samples were in the training "
            "data of this checkpoint; it has seen their labels",
            session,
        )
