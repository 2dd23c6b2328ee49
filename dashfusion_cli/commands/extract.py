"""`dashfusion extract`: from a manifest of labelled clips to a store of features."""

from pathlib import Path
from typing import Annotated

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.messages import say_note, say_warning
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import session_of
from dashfusion_cli.settings import setting

__all__ = ["register"]

_Manifest = Annotated[
    Path,
    typer.Argument(
        metavar="MANIFEST",
        help="CSV with the columns file, text, label and split, and optionally start_s, end_s, id, "
        "person, video_id, clip_id and modalities; or a benchmark's own label.csv.",
    ),
]
_Output = Annotated[
    Path, setting("--output", "-o", metavar="STORE", help="Folder for the extracted features.")
]
_TextOnly = Annotated[bool, setting("--text-only", help="Use only the texts; open no media files.")]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example(
        "dashfusion extract clips.csv --output stores/clips",
        "dashfusion extract label.csv --media-root Raw --output stores/mosi",
        "dashfusion extract reviews.csv --text-only --output stores/reviews",
    )
    app.command(no_args_is_help=True, epilog=epilog)(extract)


def extract(
    context: typer.Context,
    manifest: _Manifest,
    output: _Output,
    media_root: opt.MediaRoot = None,
    text_only: _TextOnly = False,
    workers: opt.Workers = None,
    asr: opt.Asr = opt.Engine.auto,
    asr_model: opt.AsrModel = "base",
    device: opt.Device = "auto",
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Extract features of labelled clips; run it again to continue after an interruption."""
    from dashfusion_cli.folder_run import interruptible
    from dashfusion_models.device import pick_device
    from dashfusion_models.folder import LocalEngine, Stop, TimeLimit, worker_count
    from dashfusion_models.weights import fetch_speech_weights
    from dashfusion_training.extraction import ExtractTask, extract_with
    from dashfusion_training.manifest import read_manifest

    session, stop = session_of(context), Stop()
    rows = read_manifest(manifest, media_root=media_root, text_only=text_only)
    where = str(pick_device(device))
    files = sum(row.file is not None for row in rows)
    if not offline and any(row.file and row.modalities != {"vision"} for row in rows):
        with show_progress(session) as board:
            fetch_speech_weights(asr.value, asr_model, board)
    most = min(files, workers or worker_count(asr_model, device=where))

    def engine(task: ExtractTask) -> LocalEngine:
        limit = TimeLimit.for_model(asr_model)
        return LocalEngine(task, max(1, most), limit=limit, loud=verbose)

    with interruptible(stop, session), show_progress(session) as board:
        store, warnings = extract_with(
            engine,
            rows,
            output,
            stop=stop,
            report=board,
            engines={"asr": asr.value, "asr_model": asr_model, "device": where, "offline": offline},
        )
    for warning in warnings:
        say_warning(f"{manifest}: {warning}", session)
    if stop.asked and len(store) + len(warnings) < len(rows):
        say_note(f"{output}: not all samples are done; run again to go on", session)
        raise KeyboardInterrupt
    typer.echo(f"{output}: {len(store)} samples")
