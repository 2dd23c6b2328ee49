"""`dashfusion train`: from labelled clips and texts to a checkpoint."""

import shlex
import signal
import subprocess
import sys
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
    import torch

    from dashfusion_models.store import Store
    from dashfusion_training.config import TrainConfig
    from dashfusion_training.interruption import Interruption
    from dashfusion_training.processes import Team
    from dashfusion_training.request import TrainingRequest

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
_Datasets = Annotated[
    list[Path] | None, setting("--dataset", metavar=opt.DATASETS, help=opt.DATASETS_HELP)
]
_Preset = Annotated[
    str | None,
    setting(
        "--preset",
        metavar="NAME",
        help="Preset of settings to start from (default: that of the data set, or finetune with "
        "--finetune).",
    ),
]
_Finetune = Annotated[
    str | None,
    setting(
        "--finetune",
        metavar="NAME|PATH",
        help="Start from this checkpoint (recommended for few clips).",
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
_Resume = Annotated[
    bool,
    setting(
        "--resume",
        help="Continue the interrupted training in RUN, with the data sets and settings of its "
        "start.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example(
        "dashfusion train --dataset clips.csv --finetune dashfusion-mini --output runs/mine",
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
    finetune: _Finetune = None,
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
    """Train a network on benchmarks, stores or labelled clips.

    The best checkpoint is saved as RUN/best.safetensors. To use several processes, run
    torchrun -m dashfusion_cli train.

    Ctrl-C saves the step under way; continue with --resume --output RUN.
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
    from dashfusion_training.ablation import require_compared
    from dashfusion_training.build import require_parts, start_facts
    from dashfusion_training.datasets import check_labels
    from dashfusion_training.report import read_report
    from dashfusion_training.request import require_settings
    from dashfusion_training.run import require_free
    from dashfusion_training.train import Training, train, train_seeds
    from dashfusion_training.writers import writers_of

    require_parts(settings, offline=asked["offline"])
    team, seeds = interruption.team, asked["seeds"]
    signals = (signal.SIGINT, signal.SIGTERM)
    where = _device(asked["device"], team)
    writers = writers_of(asked["log_to"] or ()) if team.leads else ()
    if seeds is None:
        require_free(asked["output"], resume=asked["resume"])
    if asked["started"] is not None:
        started = start_facts(settings, offline=asked["offline"])
        require_settings(asked["output"], settings, started)
    with interruptible(interruption.stop, session, first="this sample", signals=signals):
        stores = _stores(asked, settings, str(where), interruption, session)
    require_compared(_ablated_parts(asked), settings, stores)
    check_labels(stores, settings)
    fetch_encoder(settings.text_encoder, offline=asked["offline"], session=session)
    ended = read_report(asked["output"]) if asked["resume"] else None
    had_ended = ended is not None and len(ended["seeds"]) >= (seeds or 1)
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
        best = [train(training)] if seeds is None else train_seeds(training, seeds)
    if team.leads:
        _say_of_intervals(settings, stores, best[0], session)
        if had_ended:
            say_note(
                f"{asked['output']}: had ended before, so only the test was made anew", session
            )
    return best


def _device(asked: str, team: "Team") -> "torch.device":
    """Return the device that was asked for; of several processes each has its own GPU."""
    from dashfusion_models.device import pick_device
    from dashfusion_training.processes import local_rank

    if team.world > 1 and asked.startswith("cuda:"):
        raise typer.BadParameter("give cuda: each process takes its own", param_hint="--device")
    several = team.world > 1 and asked in ("auto", "cuda") and _has_cuda()
    return pick_device(f"cuda:{local_rank()}" if several else asked)


def _say_of_intervals(
    settings: "TrainConfig", stores: "dict[str, Store]", best: Path, session: Session
) -> None:
    """Say where the intervals come from, or why there are none."""
    from dashfusion_models.calibration import MINIMUM
    from dashfusion_models.checkpoint_about import checkpoint_head
    from dashfusion_training.calibrate import has_enough

    if not settings.intervals:
        return
    made = checkpoint_head(best)
    if "calibrated_on" in made["training"]:
        fact = "come from the validation split, which chose the epoch too: a little narrow, perhaps"
    elif "calibration" in made:
        fact = "are those of the checkpoint that it goes on from, which is the best"
    elif not has_enough(stores, settings.modalities):
        fact = f"need {MINIMUM} validation samples, so there are none"
    else:
        fact = "could not be fitted, so there are none"
    say_note(f"intervals {fact}", session)


def _stores(
    asked: dict[str, Any],
    settings: "TrainConfig",
    device: str,
    interruption: "Interruption",
    session: Session,
) -> "dict[str, Store]":
    """Open the data sets; of a machine's processes the first extracts what must be extracted."""
    from dashfusion_models.engines import Engines
    from dashfusion_models.records import MODALITIES
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
                modalities=[m for m in MODALITIES if m in settings.modalities],
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
    started = started_settings(asked["output"]) if asked["resume"] else None
    former = read_request(asked["output"]) if started else None
    if former or not asked["preset"]:
        asked["started"] = started
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
        asked["preset"] = former.preset  # None: as the settings, nobody asks for it again
    if not asked["dataset"]:
        fact = "RUN does not say what it learns from" if asked["resume"] else "is missing"
        raise typer.BadParameter(f"{fact}; name a data set", param_hint="--dataset")
    if asked["started"] is None:
        asked["preset"] = asked["preset"] or _usual_preset(asked, session_of(context))
    return asked


def _usual_preset(asked: Mapping[str, Any], session: Session) -> str:
    """Return the preset of a fine-tuning, of a benchmark, or of one's own data.

    Other data that have a benchmark's name by chance are one's own, and the user is told.
    """
    from dashfusion_training.benchmarks import BENCHMARKS
    from dashfusion_training.fine_tuning import PRESET
    from dashfusion_training.store_facts import is_of_benchmark

    first: Path = asked["dataset"][0]
    name = first.stem
    if asked["finetune"] is not None:
        return PRESET
    if name not in BENCHMARKS:
        return "mini"
    is_name = str(first) == name and not (first / "store.json").is_file()
    store = asked["data_root"] / name if is_name else first
    official = is_of_benchmark(store)
    preset = name if official or is_name else "mini"
    if not official and ((store / "store.json").is_file() or first.is_file()):
        say_note(
            f"{store}: was not made of the benchmark's own file; its preset is {preset} "
            "(--preset gives another)",
            session,
        )
    return preset


def _ablated_parts(asked: Mapping[str, Any]) -> list[str]:
    return [part.value for part in asked["ablate"] or []]


def _request(asked: Mapping[str, Any]) -> "TrainingRequest":
    from dashfusion_training.request import request_of

    names = ("data_root", "media_root", "device", "preset", "seeds")
    log_to = [one.value for one in asked["log_to"] or ()]
    return request_of(asked["dataset"], log_to=log_to, **{name: asked[name] for name in names})


def _how_to_go_on(output: Path, *, processes: int) -> str:
    from dashfusion_training.request import started_settings

    if started_settings(output) is None:
        return "extracted samples are kept, run the same command again to go on"
    program = "dashfusion" if processes == 1 else "torchrun … -m dashfusion_cli"
    return f"go on with: {program} train --resume --output {_quoted(str(output))}"


def _quoted(word: str) -> str:
    """Return a word as the shell of this system reads it."""
    return subprocess.list2cmdline([word]) if sys.platform == "win32" else shlex.quote(word)


def _settings(params: Mapping[str, Any]) -> "TrainConfig":
    """The preset, or what RUN was started with, changed by what the command line says."""
    from dashfusion_training.ablation import require_effect
    from dashfusion_training.config import ABLATIONS, changed, read_preset, with_settings
    from dashfusion_training.fine_tuning import fine_tuning
    from dashfusion_training.request import from_anywhere

    start = params["finetune"]
    if start is not None:
        _refuse_other_networks(params)
    config = params["started"]
    if config is not None:  # another start than that of RUN is refused as any other difference
        config = changed(config, {"start": start}) if start else config
    else:
        config = read_preset(params["preset"])
        config = fine_tuning(config, start, offline=params["offline"]) if start else config
    config = with_settings(config, parse_key_values(params["set"] or []))
    if params["started"] is None:  # RUN has left the parts out already
        require_effect(_ablated_parts(params), config)
    keys = ("seed", "text_encoder", "label_range", "fusion", "bottleneck", "precision")
    ablated: dict[str, Any] = {}
    for part in _ablated_parts(params):
        ablated |= ABLATIONS[part]
    if params["fusion"] not in (None, ablated.get("fusion", params["fusion"])):
        raise typer.BadParameter("--ablate hbf is --fusion concat", param_hint="--fusion")
    named = {**ablated, **{key: params[key] for key in keys if params[key] is not None}}
    if params["modalities"] is not None:
        named["modalities"] = parse_modalities(params["modalities"])
    if params["classes"] is not None:
        named["classes"] = parse_classes(params["classes"])
    return from_anywhere(changed(config, named))


def _refuse_other_networks(params: Mapping[str, Any]) -> None:
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
