"""`dashfusion train`: from labelled clips and texts to a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.messages import say_warning
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import session_of
from dashfusion_cli.settings import setting
from dashfusion_cli.values import parse_classes, parse_key_values

if TYPE_CHECKING:
    from dashfusion_training.config import TrainConfig

__all__ = ["register"]

_Output = Annotated[
    Path, setting("--output", "-o", metavar="RUN", help="The folder of the training.")
]
_Preset = Annotated[str, setting("--preset", metavar="NAME", help="Settings to start from.")]
_Set = Annotated[
    list[str] | None, setting("--set", metavar="KEY=VALUE", help="Change one; repeatable.")
]
_Seed = Annotated[int | None, setting("--seed", metavar="N", help="Of everything random.")]
_TextEncoder = Annotated[
    str | None, setting("--text-encoder", metavar="NAME|PATH", help="A BERT-like model.")
]
_Range = Annotated[
    tuple[float, float] | None,
    setting("--label-range", metavar="MIN MAX", help="Of the labels and the scores."),
]
_Classes = Annotated[
    str | None, setting("--classes", metavar="NAME=SCORE,…", help="Scores of class labels.")
]
_Resume = Annotated[bool, setting("--resume", help="Go on where RUN was stopped.")]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example("dashfusion train --dataset clips.csv --preset mini --output runs/mine")
    app.command(no_args_is_help=True, epilog=epilog)(train)


def train(
    context: typer.Context,
    dataset: opt.Datasets,
    output: _Output,
    preset: _Preset = "mini",
    media_root: opt.MediaRoot = None,
    set: _Set = None,
    seed: _Seed = None,
    text_encoder: _TextEncoder = None,
    label_range: _Range = None,
    classes: _Classes = None,
    resume: _Resume = False,
    device: opt.Device = "auto",
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Train a network on manifests and stores; the best checkpoint is RUN/best.safetensors."""
    from dashfusion_models.device import pick_device
    from dashfusion_models.engines import Engines
    from dashfusion_models.records import Progress
    from dashfusion_training.run import Position
    from dashfusion_training.sources import open_sources
    from dashfusion_training.train import Training, train

    session = session_of(context)
    settings = _settings(context.params)
    where = pick_device(device)
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

        def follow(at: Position, loss: float, batches: int) -> None:
            stage = f"epoch {at.epoch} of {settings.epochs}"
            board(Progress(stage, at.batch, batches, "steps", note=f"loss {loss:.3f}"))

        best = train(
            Training(
                config=settings,
                stores=stores,
                output=output,
                resume=resume,
                device=where,
                offline=offline,
            ),
            report=follow,
        )
    typer.echo(best)


def _settings(params: dict[str, Any]) -> "TrainConfig":
    """The preset, changed by what the command line says."""
    from dashfusion_training.config import changed, read_preset, with_settings

    config = with_settings(read_preset(params["preset"]), parse_key_values(params["set"] or []))
    named = {key: params[key] for key in ("seed", "text_encoder", "label_range")}
    if params["classes"] is not None:
        named["classes"] = parse_classes(params["classes"])
    return changed(config, {k: v for k, v in named.items() if v is not None})
