"""`dashfusion train`: from labelled clips and texts to a checkpoint."""

import shlex
import signal
from collections.abc import Mapping
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
    from dashfusion_training.interruption import Interruption
    from dashfusion_training.request import Request

__all__ = ["register"]


class Ablation(StrEnum):
    """The parts of the method that can be left out."""

    temporal_alignment = "temporal-alignment"
    semantic_alignment = "semantic-alignment"
    dual_stream_alignment = "dual-stream-alignment"
    scl = "scl"
    hbf = "hbf"


_Output = Annotated[
    Path, setting("--output", "-o", metavar="RUN", help="The folder of the training.")
]
_Datasets = Annotated[
    list[Path] | None, setting("--dataset", metavar=opt.DATASETS, help=opt.DATASETS_HELP)
]
_Preset = Annotated[
    str | None,
    setting("--preset", metavar="NAME", help="Settings to start from; default: by the data set."),
]
_Set = Annotated[
    list[str] | None,
    setting(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting of the preset, as epochs=20; may be repeated.",
    ),
]
_Seed = Annotated[
    int | None,
    setting("--seed", metavar="N", help="Of all that is random; the same seed, the same network."),
]
_Seeds = Annotated[
    int | None,
    setting("--seeds", metavar="N", min=1, help="Train N times, with the seeds 1111, 1112, …"),
]
_Modalities = Annotated[
    str | None,
    setting("--modalities", metavar="LIST", help="What the network may use, as text,audio."),
]
_Ablate = Annotated[
    list[Ablation] | None,
    setting("--ablate", help="Leave a part of the method out; may be repeated."),
]
_Fusion = Annotated[
    str | None,
    setting(
        "--fusion",
        metavar="NAME",
        help="How the three streams are fused: hbf (the paper's), bf, ca, concat, concat-sa.",
    ),
]
_Bottleneck = Annotated[
    int | None, setting("--bottleneck", metavar="N", help="Tokens of the first fusion layer.")
]
_Precision = Annotated[
    str | None, setting("--precision", metavar="NAME", help="Of the numbers: fp32, bf16 or fp16.")
]
_TextEncoder = Annotated[
    str | None,
    setting("--text-encoder", metavar="NAME|PATH", help="What reads the words: a BERT-like model."),
]
_Range = Annotated[
    tuple[float, float] | None,
    setting(
        "--label-range", metavar="MIN MAX", help="Lowest and highest label; scores keep to it."
    ),
]
_Classes = Annotated[
    str | None, setting("--classes", metavar="NAME=SCORE,…", help="Scores of class labels.")
]
_LogTo = Annotated[
    list[LogTo] | None, setting("--log-to", help="Also show the curves there; may be repeated.")
]
_Resume = Annotated[
    bool,
    setting(
        "--resume", help="Go on where RUN was stopped; it knows its data sets and settings itself."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example(
        "dashfusion train --dataset mosi --seeds 5 --output runs/mosi",
        "dashfusion train --dataset clips.csv --output runs/clips --set epochs=20",
        "dashfusion train --dataset mosi --ablate scl --output runs/without-scl",
        "dashfusion train --resume --output runs/mosi",
    )
    app.command(no_args_is_help=True, epilog=epilog)(train)


def train(
    context: typer.Context,
    output: _Output,
    dataset: _Datasets = None,
    preset: _Preset = None,
    data_root: opt.DataRoot = Path("data"),
    media_root: opt.MediaRoot = None,
    cache_limit: opt.CacheLimit = 5.0,
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
    """Train a network on benchmarks, stores and manifests.

    The best checkpoint is RUN/best.safetensors. Several processes: torchrun -m dashfusion_cli train

    After Ctrl-C the step under way is saved; `--resume --output RUN` goes on from there.
    """
    from dashfusion_models.folder import Stop
    from dashfusion_training.interruption import Interrupted, Interruption
    from dashfusion_training.processes import joined

    if seed is not None and seeds is not None:
        raise typer.BadParameter("give --seed or --seeds, not both", param_hint="--seeds")
    asked = _completed(context)
    settings = _settings(asked)
    session, stop = session_of(context), Stop()
    try:
        with joined() as team:
            if not team.leads:
                session = Session(quiet=True, verbose=session.verbose)
            best = _train(asked, settings, Interruption(stop, team), session)
            if team.leads:
                for path in best:
                    typer.echo(path)
    except Interrupted as interrupted:
        how = _how_to_go_on(output, processes=team.world)
        say_note(f"{output}: {interrupted}; {how}", session)
        raise typer.Exit(128 + (stop.signal or signal.SIGINT)) from None


def _train(
    asked: dict[str, Any], settings: "TrainConfig", interruption: "Interruption", session: Session
) -> list[Path]:
    """Open the data sets, fetch what is missing and train; return the checkpoints."""
    from dashfusion_cli.folder_run import interruptible
    from dashfusion_cli.live import training_view
    from dashfusion_models.device import pick_device
    from dashfusion_training.datasets import check_labels
    from dashfusion_training.processes import local_rank
    from dashfusion_training.run import require_free
    from dashfusion_training.train import Training, train, train_seeds
    from dashfusion_training.writers import writers_of

    team, device, seeds = interruption.team, asked["device"], asked["seeds"]
    signals = (signal.SIGINT, signal.SIGTERM)
    if team.world > 1 and device.startswith("cuda:"):
        raise typer.BadParameter("give cuda: each process takes its own", param_hint="--device")
    several = team.world > 1 and device in ("auto", "cuda") and _has_cuda()
    where = pick_device(f"cuda:{local_rank()}" if several else device)
    writers = writers_of(asked["log_to"] or ()) if team.leads else ()
    if seeds is None:
        require_free(asked["output"], resume=asked["resume"])
    with interruptible(interruption.stop, session, first="this sample", signals=signals):
        stores = _stores(asked, str(where), interruption, session)
    check_labels(stores, settings)
    fetch_encoder(settings.text_encoder, offline=asked["offline"], session=session)
    with (
        interruptible(interruption.stop, session, first="this step", signals=signals),
        training_view(session) as view,
    ):
        training = Training(
            config=settings,
            stores=stores,
            output=asked["output"],
            resume=asked["resume"],
            device=where,
            offline=asked["offline"],
            team=team,
            watch=view,
            log_to=writers,
            request=_request(asked),
            stop=interruption.stop,
        )
        return [train(training)] if seeds is None else train_seeds(training, seeds)


def _stores(
    asked: dict[str, Any], device: str, interruption: "Interruption", session: Session
) -> "dict[str, Store]":
    """Open the data sets; of a machine's processes the first extracts what must be extracted."""
    from dashfusion_models.engines import Engines
    from dashfusion_training.processes import local_rank
    from dashfusion_training.sources import extract_to, only_open, open_sources

    extracts = local_rank() == 0
    stores: dict[str, Store] = {}
    engines = Engines(device=device, offline=asked["offline"])

    def opened(extract: Any) -> "dict[str, Store]":
        with show_progress(session) as board:
            return open_sources(
                asked["dataset"],
                media_root=asked["media_root"],
                data_root=asked["data_root"],
                engines=engines,
                report=interruption.checked(board),
                warn=lambda text: say_warning(text, session),
                extract=extract,
                cache_bytes=asked["cache_limit"] * 1e9,
            )

    try:
        with interruption.leaving_together():
            if extracts:
                stores = opened(extract_to)
    finally:
        engines.close()
    return stores if extracts else opened(only_open)


def _completed(context: typer.Context) -> dict[str, Any]:
    """Return what is asked for; with --resume, what is not given is as RUN was asked for.

    `started` holds the settings that RUN was started with, None where the preset is to count.

    Raises:
        TrainingError: RUN contradicts what is given.
        typer.BadParameter: no data set is named, here or by RUN.
    """
    from dashfusion_training.request import read_request, started_settings

    asked = {**context.params, "started": None}
    former = read_request(asked["output"]) if asked["resume"] else None
    if asked["resume"] and (former or not asked["preset"]):
        asked["started"] = started_settings(asked["output"])
    if former is not None:
        former.require_alike(**{name: asked[name] for name in ("preset", "seed", "seeds")})
        known = {
            "dataset": [Path(dataset) for dataset in former.dataset],
            "data_root": Path(former.data_root),
            "media_root": None if former.media_root is None else Path(former.media_root),
            "device": former.device,
            "seeds": former.seeds,
            "log_to": [LogTo(name) for name in former.log_to],
        }
        for name, value in known.items():
            source = context.get_parameter_source(name)
            if source is None or source.name == "DEFAULT":
                asked[name] = value
        asked["preset"] = former.preset
    if not asked["dataset"]:
        fact = "RUN does not say what it learns from" if asked["resume"] else "is missing"
        raise typer.BadParameter(f"{fact}; name a data set", param_hint="--dataset")
    return {**asked, "preset": asked["preset"] or _usual_preset(asked["dataset"][0])}


def _usual_preset(dataset: Path) -> str:
    from dashfusion_training.config import preset_names

    return dataset.stem if dataset.stem in preset_names() else "mini"


def _request(asked: Mapping[str, Any]) -> "Request":
    from dashfusion_training.request import request_of

    names = ("data_root", "media_root", "device", "preset", "seeds")
    log_to = [one.value for one in asked["log_to"] or ()]
    return request_of(asked["dataset"], log_to=log_to, **{name: asked[name] for name in names})


def _how_to_go_on(output: Path, *, processes: int) -> str:
    from dashfusion_training.request import started_settings

    if started_settings(output) is None:
        return "extracted samples are kept, run the same command again to go on"
    program = "dashfusion" if processes == 1 else "torchrun … -m dashfusion_cli"
    return f"go on with: {program} train --resume --output {shlex.quote(str(output))}"


def _settings(params: Mapping[str, Any]) -> "TrainConfig":
    """The preset, or what RUN was started with, changed by what the command line says."""
    from dashfusion_training.config import ABLATIONS, changed, read_preset, with_settings

    config = params["started"] or read_preset(params["preset"])
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


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
