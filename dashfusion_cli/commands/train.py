"""`dashfusion train`: from labelled clips and texts to a checkpoint."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.fetching import fetch_encoder
from dashfusion_cli.messages import say_note, say_warning
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import Session, session_of
from dashfusion_cli.settings import setting
from dashfusion_cli.values import parse_classes, parse_key_values, parse_modalities
from dashfusion_training.writers import LogTo

if TYPE_CHECKING:
    from dashfusion_models.store import Store
    from dashfusion_training.config import TrainConfig
    from dashfusion_training.processes import Team

__all__ = ["register"]


class Ablation(StrEnum):
    """The parts of the method that can be left out."""

    temporal_alignment = "temporal-alignment"
    semantic_alignment = "semantic-alignment"
    dual_stream_alignment = "dual-stream-alignment"
    scl = "scl"
    hbf = "hbf"


_Output = Annotated[
    Path,
    setting(
        "--output", "-o", metavar="RUN", help="Folder for the checkpoint, the log and the report."
    ),
]
_Preset = Annotated[
    str | None,
    setting(
        "--preset",
        metavar="NAME",
        help="Preset of settings to start from (default: that of the data set).",
    ),
]
_Finetune = Annotated[
    str | None,
    setting(
        "--finetune",
        metavar="NAME|PATH",
        help="Go on from this checkpoint, with its network and its text encoder: the way for few "
        "clips.",
    ),
]
_Set = Annotated[
    list[str] | None,
    setting(
        "--set",
        metavar="KEY=VALUE",
        help="Override a setting of the preset, such as epochs=20; may be repeated.",
    ),
]
_Seed = Annotated[
    int | None,
    setting("--seed", metavar="N", help="Random seed (default: that of the preset)."),
]
_Seeds = Annotated[
    int | None,
    setting("--seeds", metavar="N", min=1, help="Train N times, with the seeds 1111, 1112, …"),
]
_Modalities = Annotated[
    str | None,
    setting(
        "--modalities",
        metavar="LIST",
        help="Modalities to use, separated by commas, such as text,audio.",
    ),
]
_Ablate = Annotated[
    list[Ablation] | None,
    setting(
        "--ablate",
        metavar="PART",
        help="Leave out a part of the method: temporal-alignment, semantic-alignment, "
        "dual-stream-alignment, scl or hbf; may be repeated.",
    ),
]
_Fusion = Annotated[
    str | None,
    setting(
        "--fusion",
        metavar="NAME",
        help="Fusion of the three streams: hbf (the paper's), bf, ca, concat or concat-sa.",
    ),
]
_Bottleneck = Annotated[
    int | None,
    setting(
        "--bottleneck", metavar="N", help="Number of bottleneck tokens in the first fusion layer."
    ),
]
_Precision = Annotated[
    str | None,
    setting("--precision", metavar="NAME", help="Numerical precision: fp32, bf16 or fp16."),
]
_TextEncoder = Annotated[
    str | None,
    setting(
        "--text-encoder",
        metavar="NAME|PATH",
        help="Text encoder: the name or folder of a BERT-like model.",
    ),
]
_Range = Annotated[
    tuple[float, float] | None,
    setting(
        "--label-range", metavar="MIN MAX", help="Lowest and highest label; limits the scores too."
    ),
]
_Classes = Annotated[
    str | None, setting("--classes", metavar="NAME=SCORE,…", help="Score of each class label.")
]
_LogTo = Annotated[
    list[LogTo] | None,
    setting("--log-to", metavar="TOOL", help="Also log to tensorboard or wandb; may be repeated."),
]
_Resume = Annotated[bool, setting("--resume", help="Continue the interrupted training in RUN.")]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example(
        "dashfusion train --dataset clips.csv --finetune dashfusion-mini --output runs/mine",
        "dashfusion train --dataset mosi --seeds 5 --output runs/mosi",
        "dashfusion train --dataset clips.csv --output runs/clips --set epochs=20",
        "dashfusion train --dataset mosi --ablate scl --output runs/without-scl",
        "dashfusion train --dataset mosi --output runs/mosi --resume",
    )
    app.command(no_args_is_help=True, epilog=epilog)(train)


def train(
    context: typer.Context,
    dataset: opt.Datasets,
    output: _Output,
    finetune: _Finetune = None,
    preset: _Preset = None,
    data_root: opt.DataRoot = Path("data"),
    media_root: opt.MediaRoot = None,
    set: _Set = None,
    seed: _Seed = None,
    seeds: _Seeds = None,
    text_encoder: _TextEncoder = None,
    modalities: _Modalities = None,
    ablate: _Ablate = None,
    fusion: _Fusion = None,
    bottleneck: _Bottleneck = None,
    label_range: _Range = None,
    classes: _Classes = None,
    log_to: _LogTo = None,
    resume: _Resume = False,
    device: opt.Device = "auto",
    precision: _Precision = None,
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Train a network on benchmarks, stores or labelled clips.

    The best checkpoint is saved as RUN/best.safetensors. To use several processes, run
    torchrun -m dashfusion_cli train.
    """
    from dashfusion_cli.live import training_view
    from dashfusion_models.device import pick_device
    from dashfusion_training.build import require_parts
    from dashfusion_training.datasets import check_labels
    from dashfusion_training.processes import joined, local_rank
    from dashfusion_training.run import require_free
    from dashfusion_training.train import Training, train, train_seeds
    from dashfusion_training.writers import writers_of

    if seed is not None and seeds is not None:
        raise typer.BadParameter("give --seed or --seeds, not both", param_hint="--seeds")
    settings = _settings(context.params)
    require_parts(settings, offline=offline)
    with joined() as team:
        session = session_of(context)
        if not team.leads:
            session = Session(quiet=True, verbose=session.verbose)
        if team.world > 1 and device.startswith("cuda:"):
            raise typer.BadParameter("give cuda: each process takes its own", param_hint="--device")
        several = team.world > 1 and device in ("auto", "cuda") and _has_cuda()
        where = pick_device(f"cuda:{local_rank()}" if several else device)
        writers = writers_of(log_to or ()) if team.leads else ()
        stores = _stores(context.params, settings, str(where), team, session)
        check_labels(stores, settings)
        if seeds is None:
            require_free(output, resume=resume)
        fetch_encoder(settings.text_encoder, offline=offline, session=session)
        with training_view(session) as view:
            training = Training(
                config=settings,
                stores=stores,
                output=output,
                resume=resume,
                device=where,
                offline=offline,
                team=team,
                watch=view,
                log_to=writers,
            )
            best = [train(training)] if seeds is None else train_seeds(training, seeds)
        if team.leads:
            _say_of_intervals(settings, stores, session)
            for path in best:
                typer.echo(path)


def _say_of_intervals(
    settings: "TrainConfig", stores: "dict[str, Store]", session: Session
) -> None:
    """Say where the intervals come from, or why there are none."""
    from dashfusion_models.calibration import MINIMUM
    from dashfusion_training.calibrate import has_enough

    if not settings.intervals:
        return
    if has_enough(stores):
        fact = "come from the validation split, which chose the epoch too: a little narrow, perhaps"
    else:
        fact = f"need {MINIMUM} validation samples, so there are none"
    say_note(f"intervals {fact}", session)


def _stores(
    params: dict[str, Any], settings: "TrainConfig", device: str, team: "Team", session: Session
) -> "dict[str, Store]":
    """Open the data sets; of a machine's processes the first extracts what must be extracted."""
    from dashfusion_models.engines import Engines
    from dashfusion_models.records import MODALITIES
    from dashfusion_training.processes import local_rank
    from dashfusion_training.sources import extract_to, only_open, open_sources

    extracts = local_rank() == 0
    if not extracts:
        team.wait()
    engines = Engines(device=device, offline=params["offline"])
    try:
        with show_progress(session) as board:
            stores = open_sources(
                params["dataset"],
                media_root=params["media_root"],
                data_root=params["data_root"],
                engines=engines,
                report=board,
                warn=lambda text: say_warning(text, session),
                modalities=[m for m in MODALITIES if m in settings.modalities],
                extract=extract_to if extracts else only_open,
            )
    finally:
        engines.close()
    if extracts:
        team.wait()
    return stores


def _settings(params: dict[str, Any]) -> "TrainConfig":
    """The preset, changed by what the command line says."""
    from dashfusion_training.benchmarks import BENCHMARKS
    from dashfusion_training.config import (
        ABLATIONS,
        changed,
        read_preset,
        with_settings,
    )
    from dashfusion_training.fine_tuning import PRESET, fine_tuning

    first = params["dataset"][0].stem
    usual = first if first in BENCHMARKS else "mini"
    if (start := params["finetune"]) is not None:
        _refuse_other_networks(params)
        config = read_preset(params["preset"] or PRESET)
        config = fine_tuning(config, start, offline=params["offline"])
    else:
        config = read_preset(params["preset"] or usual)
    config = with_settings(config, parse_key_values(params["set"] or []))
    keys = ("seed", "text_encoder", "label_range", "fusion", "bottleneck", "precision")
    ablated: dict[str, Any] = {}
    for part in params["ablate"] or []:
        ablated |= ABLATIONS[part.value]
    if params["fusion"] not in (None, ablated.get("fusion", params["fusion"])):
        raise typer.BadParameter("--ablate hbf is --fusion concat", param_hint="--fusion")
    named = {**ablated, **{key: params[key] for key in keys if params[key] is not None}}
    if params["modalities"] is not None:
        named["modalities"] = parse_modalities(params["modalities"])
    if params["classes"] is not None:
        named["classes"] = parse_classes(params["classes"])
    return changed(config, named)


def _refuse_other_networks(params: dict[str, Any]) -> None:
    """Refuse options that would make another network than that of --finetune."""
    for name in ("text_encoder", "fusion", "bottleneck", "ablate"):
        if params[name]:
            raise typer.BadParameter(
                "the network is that of --finetune; leave one of them out",
                param_hint=f"--{name.replace('_', '-')}",
            )


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
