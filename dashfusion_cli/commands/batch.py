"""`dashfusion batch`: from a folder of media files to a folder of results."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.asked import check_times, load_values, option_values
from dashfusion_cli.fetching import fetch_encoder_of
from dashfusion_cli.messages import say_note
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import Session, session_of
from dashfusion_cli.settings import setting

if TYPE_CHECKING:
    from dashfusion_models.folder import AnalyzeTask, Batch, Engine, Recipe, TimeLimit, Wanted

__all__ = ["register"]

SOME_FAILED = 3
_NAMED = 5  # files that failed; the table has all


class _Engine(StrEnum):
    local = "local"
    ray = "ray"


_Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of media files.")]
_Output = Annotated[
    Path,
    setting(
        "--output",
        "-o",
        metavar="RESULTS",
        help="Folder for the results, of a new run or of one to continue.",
    ),
]
_Recursive = Annotated[bool, setting("--recursive", help="Include files in subfolders.")]
_Include = Annotated[
    list[str] | None,
    setting(
        "--include",
        metavar="PATTERN",
        help='Include only files whose names match PATTERN, such as "*.mp4"; may be repeated.',
    ),
]
_Limit = Annotated[
    int | None, setting("--limit", metavar="N", min=1, help="Process only the first N files.")
]
_Where = Annotated[
    _Engine,
    setting("--engine", help="Run in processes of this machine (local) or on a Ray cluster (ray)."),
]
_RayAddress = Annotated[
    str | None,
    setting(
        "--ray-address",
        metavar="HOST:PORT",
        help="Ray cluster to connect to (default: start one on this machine).",
    ),
]
_RetryFailed = Annotated[
    bool,
    setting("--retry-failed", help="Retry files that could not be analyzed in an earlier run."),
]
_Html = Annotated[
    bool, setting("--html", help="Also write index.html and a page for each file (in reports/).")
]
_Transcripts = Annotated[
    bool,
    setting(
        "--transcripts",
        help="Use the transcript beside a file (clip.vtt, clip.srt or clip.txt for clip.mp4), "
        "where there is one, instead of recognition.",
    ),
]
_Force = Annotated[
    bool, setting("--force", help="Replace results of another model or other options.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example(
        "dashfusion batch clips --output results",
        'dashfusion batch clips --recursive --include "*.mp4" --limit 10 --output results',
        "dashfusion batch clips --output results --html",
        "dashfusion batch clips --output results --transcripts",
        "dashfusion batch clips --output results --retry-failed",
        "dashfusion batch clips --output results --engine ray --ray-address head:6379",
    )
    app.command(no_args_is_help=True, epilog=epilog)(batch)


def batch(
    context: typer.Context,
    folder: _Folder,
    output: _Output,
    recursive: _Recursive = False,
    include: _Include = None,
    limit: _Limit = None,
    workers: opt.Workers = None,
    engine: _Where = _Engine.local,
    ray_address: _RayAddress = None,
    retry_failed: _RetryFailed = False,
    html: _Html = False,
    force: _Force = False,
    checkpoint: opt.Checkpoint = "dashfusion-mini",
    language: opt.Language = "auto",
    translate: opt.Translate = False,
    transcripts: _Transcripts = False,
    asr: opt.Asr = opt.Engine.auto,
    asr_model: opt.AsrModel = "base",
    segments: opt.Segments = "sentence",
    without: opt.Without = None,
    start: opt.Start = None,
    end: opt.End = None,
    device: opt.Device = "auto",
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Analyze every media file in FOLDER; run it again to continue after an interruption."""
    check_times(context.params)
    _check_engine(context)
    from dashfusion_cli.folder_run import plan_folder, run_folder
    from dashfusion_models.folder import Batch, Surveyor
    from dashfusion_models.weights import locate_checkpoint

    session, asked = session_of(context), context.params
    found = locate_checkpoint(checkpoint, offline=offline)
    fetch_encoder_of(found, offline=offline, session=session)
    with Surveyor() as survey, Batch(output, _recipe(asked), survey=survey, force=force) as results:
        plan = plan_folder(results, _wanted(asked), session)
        engine_now = _engine(asked, session, plan.to_do)
        run_folder(results, plan, engine_now, output, session, _pages(results, context))
        done, failed, _ = results.counts()
        if failed:
            _tell_failed(results, output, session)
    typer.echo(f"{output}: {done} analysed, {failed} failed")
    raise typer.Exit(SOME_FAILED if failed else 0)


def _tell_failed(results: "Batch", output: Path, session: "Session") -> None:
    """Name the files without a result, those of earlier runs too, and how to try them again."""
    failed = [record["media"]["path"] for record in results.records() if "error" in record]
    named, more = failed[:_NAMED], len(failed) - _NAMED
    names = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    reason = f"{output / 'summary.csv'} says why, --retry-failed tries again"
    say_note(f"not analysed: {' '.join(names.split())}; {reason}", session)


def _pages(results: "Batch", context: typer.Context) -> Callable[[], None]:
    """Return what writes the pages, where they are wanted."""
    asked = context.params
    if not asked["html"]:
        return lambda: None
    from dashfusion_cli.folder_pages import write_pages
    from dashfusion_cli.html_run import settings_of
    from dashfusion_cli.progress import FILES, show_progress
    from dashfusion_models.records import Progress

    def write() -> None:
        total = sum(results.counts()[:2])
        with show_progress(session_of(context)) as board:
            write_pages(
                results.records(),
                asked["output"],
                asked["folder"],
                settings_of(context),
                report=lambda done: board(Progress("pages", done, max(done, total), FILES)),
            )

    return write


def _wanted(asked: Mapping[str, Any]) -> "Wanted":
    """Return which files are to be done."""
    from dashfusion_models.folder import Wanted

    names = ("folder", "recursive", "limit", "retry_failed", "transcripts")
    return Wanted(**{name: asked[name] for name in names}, include=tuple(asked["include"] or ()))


def _recipe(asked: Mapping[str, Any]) -> "Recipe":
    """Return what the results depend on, beside the files."""
    from dashfusion_models.digest import sha256_of
    from dashfusion_models.errors import CheckpointError
    from dashfusion_models.folder import Recipe
    from dashfusion_models.weights import locate_checkpoint

    path = locate_checkpoint(asked["checkpoint"], offline=asked["offline"])
    try:
        sha256 = sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    values = option_values(asked)
    values.pop("transcript")
    options = {
        **values,
        "without": sorted(values["without"]),
        "asr": asked["asr"].value,
        "asr_model": asked["asr_model"],
        # Only where it is on: results of before there was such a thing go on as they are.
        **({"transcripts": True} if asked["transcripts"] else {}),
    }
    return Recipe(asked["checkpoint"], sha256, options)


def _check_engine(context: typer.Context) -> None:
    """Refuse a cluster that cannot be used as asked, before anything is looked at.

    Raises:
        typer.BadParameter: a wrong command line.
        FolderError: Ray is not installed.
    """
    asked = context.params
    is_ray = asked["engine"] is _Engine.ray
    source = context.get_parameter_source("ray_address")
    if not is_ray and source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter("needs --engine ray", param_hint="--ray-address")
    if is_ray and asked["ray_address"] is not None and asked["device"].startswith("cuda:"):
        raise typer.BadParameter("Ray deals out the GPUs: write cuda", param_hint="--device")
    if is_ray:
        from dashfusion_models.folder import require_ray

        require_ray()


def _engine(asked: Mapping[str, Any], session: Session, files: int) -> "Engine":
    """Return what does the work, with no more workers than there are files."""
    from dashfusion_models.folder import (
        AnalyzeTask,
        LocalEngine,
        RayEngine,
        TimeLimit,
        worker_count,
    )
    from dashfusion_models.weights import fetch_speech_weights

    model = asked["asr_model"]
    hears = not {"text", "audio"} <= {stream.value for stream in asked["without"] or ()}
    if files and hears and not asked["offline"]:
        with show_progress(session) as board:
            fetch_speech_weights(asked["asr"].value, model, board)
    task = AnalyzeTask(load=load_values(asked), options=option_values(asked))
    limit = TimeLimit.for_model(model)
    is_ray = asked["engine"] is _Engine.ray
    if files and is_ray and asked["ray_address"] is not None:
        return _engine_elsewhere(asked, session, files, task, limit)
    kind = RayEngine if is_ray else LocalEngine
    workers = asked["workers"] or worker_count(model, device=asked["device"])
    return kind(task, workers=max(1, min(files, workers)), limit=limit, loud=session.verbose)


def _engine_elsewhere(
    asked: Mapping[str, Any], session: Session, files: int, task: "AnalyzeTask", limit: "TimeLimit"
) -> "Engine":
    """Return an engine on the cluster that was asked for, whose nodes see both folders."""
    from dashfusion_models.folder import Cluster, RayEngine, shared_out, worker_bytes

    share = partial(
        shared_out,
        worker_bytes=worker_bytes(asked["asr_model"]),
        device=asked["device"],
        most=min(files, asked["workers"] or files),
    )
    return RayEngine.on(
        Cluster.join(asked["ray_address"], loud=session.verbose),
        task,
        media=asked["folder"],
        results=asked["output"],
        share=share,
        limit=limit,
        loud=session.verbose,
    )
