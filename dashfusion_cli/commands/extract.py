"""`dashfusion extract`: from a manifest of labelled clips to a store of features."""

from pathlib import Path
from typing import Annotated

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.messages import say_warning
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import session_of
from dashfusion_cli.settings import setting

__all__ = ["register"]

_Manifest = Annotated[
    Path,
    typer.Argument(
        metavar="MANIFEST",
        help="A CSV with the columns file, text, label, split and, if wished, start_s, end_s, id, "
        "person, video_id, clip_id, modalities; or a benchmark's own label.csv.",
    ),
]
_Output = Annotated[Path, setting("--output", "-o", metavar="STORE", help="The folder to fill.")]
_TextOnly = Annotated[bool, setting("--text-only", help="Never open media.")]


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
    asr: opt.Asr = opt.Engine.auto,
    asr_model: opt.AsrModel = "base",
    device: opt.Device = "auto",
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Extract words, voice and face of every clip; run again, it goes on where it stopped."""
    from dashfusion_models.device import pick_device
    from dashfusion_models.engines import Engines
    from dashfusion_training.sources import extract_to

    session = session_of(context)
    engines = Engines(
        asr=asr.value, asr_model=asr_model, device=str(pick_device(device)), offline=offline
    )
    try:
        with show_progress(session) as board:
            store = extract_to(
                manifest,
                output,
                media_root=media_root,
                engines=engines,
                report=board,
                warn=lambda text: say_warning(text, session),
                text_only=text_only,
            )
    finally:
        engines.close()
    typer.echo(f"{output}: {len(store)} samples")
