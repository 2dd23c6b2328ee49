"""`dashfusion analyze`: from media files to scores."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.asked import check_times, load_analyzer, option_values, options_of
from dashfusion_cli.forms import AnalysisForm, check_form, form_of, renderer_of
from dashfusion_cli.messages import say_error, say_note, say_warning
from dashfusion_cli.output import Output, check_place, files_read, stdout_for_results_only
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import Session, session_of
from dashfusion_cli.settings import setting
from dashfusion_models.errors import DashfusionError, MediaError
from dashfusion_models.near import meant_file

if TYPE_CHECKING:
    from dashfusion_models.analysis import Analysis
    from dashfusion_models.analyzer import AnalyzeOptions, Analyzer

__all__ = ["register"]

_VIDEO_ENDINGS = (".mp4", ".m4v", ".mov", ".mkv")


_Media = Annotated[list[Path], typer.Argument(metavar="MEDIA", help="Video, audio or image files.")]
_FormOption = Annotated[
    AnalysisForm,
    setting(
        "--format",
        metavar="FORMAT",
        help="Output format: table, json, csv, srt, vtt or html (default: that of the ending of "
        "--output, else table). Several files as json are one line each (JSON Lines).",
    ),
]
_Overlay = Annotated[
    Path | None,
    setting(
        "--overlay",
        metavar="OUT.mp4",
        help="Also write a video with captions, scores, face boxes and the score curve over it.",
    ),
]
_CaptionScores = Annotated[
    bool, setting("--caption-scores", help="Prefix each caption of srt and vtt with its score.")
]
_EmbedVideo = Annotated[
    bool,
    setting(
        "--embed-video", help="Embed a small copy of the media in the page (with --format html)."
    ),
]
_Timing = Annotated[bool, setting("--timing", help="Show how long each stage took.")]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    epilog = opt.example(
        "dashfusion analyze clip.mp4",
        "dashfusion analyze clip.mp4 --output clip.json",
        "dashfusion analyze clip.mp4 --format vtt --caption-scores --output clip.vtt",
        "dashfusion analyze clip.mp4 --format html --embed-video --output clip.html",
        "dashfusion analyze clip.mp4 --overlay scored.mp4",
        "dashfusion analyze interview.mp4 --transcript interview.srt --start 0:02 --end 0:10",
        "dashfusion analyze a.mp4 b.wav c.jpg --format csv --output all.csv",
        "dashfusion analyze talk.mp4 --language de --translate --asr-model small",
    )
    app.command(no_args_is_help=True, epilog=epilog)(analyze)


def analyze(
    context: typer.Context,
    media: _Media,
    format: _FormOption = AnalysisForm.table,
    caption_scores: _CaptionScores = False,
    output: opt.OutputFile = None,
    force: opt.Force = False,
    checkpoint: opt.Checkpoint = "dashfusion-mini",
    language: opt.Language = "auto",
    translate: opt.Translate = False,
    transcript: opt.Transcript = None,
    asr: opt.Asr = opt.Engine.auto,
    asr_model: opt.AsrModel = "base",
    segments: opt.Segments = "sentence",
    without: opt.Without = None,
    start: opt.Start = None,
    end: opt.End = None,
    timing: _Timing = False,
    overlay: _Overlay = None,
    embed_video: _EmbedVideo = False,
    device: opt.Device = "auto",
    offline: opt.Offline = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Score the sentiment of MEDIA, utterance by utterance."""
    check_times(context.params)
    context.params["format"] = form_of(context, AnalysisForm)
    check_form(context.params)
    _check_overlay(context.params)
    _first_must_exist(media)
    latest: list[Analysis] = []
    with Output(output, force=force, reads=files_read(context.params)) as out:
        options = options_of(context.params)
        render = renderer_of(context, out)

        def rendered(analysis: "Analysis") -> bytes:
            latest[:] = [analysis]
            return render(analysis)

        with load_analyzer(context.params) as analyzer:
            done = _analyze_all(media, analyzer, options, rendered, out, session_of(context))
    if overlay is not None:  # what was found is safe by now
        _write_overlay(latest[0], overlay, context)
    raise typer.Exit(0 if done else 1)


def _analyze_all(
    media: list[Path],
    analyzer: "Analyzer",
    options: "AnalyzeOptions",
    render: "Callable[[Analysis], bytes]",
    out: Output,
    session: Session,
) -> bool:
    """Write one result after the other; tell whether all files could be scored."""
    done = True
    with show_progress(session) as board:
        for number, path in enumerate(media, start=1):
            board.title(f"{path}", number=number, of=len(media))
            try:
                _must_exist(path)
                with stdout_for_results_only():
                    analysis = analyzer.analyze(path, options, report=board)
            except DashfusionError as error:
                if len(media) == 1:
                    raise
                with board.aside():
                    say_error(str(error), session)
                done = False
                continue
            with board.aside():
                for warning in analysis.warnings:
                    say_warning(f"{path}: {warning}", session)
                out.write(render(analysis))
    return done


def _check_overlay(asked: Mapping[str, Any]) -> None:
    """Refuse what cannot become a video, before anything is loaded.

    Raises:
        typer.BadParameter: a wrong command line.
        ConfigError: the place cannot be written, or must not be.
        MediaError: MEDIA holds no moving pictures.
    """
    overlay, media = asked["overlay"], asked["media"]
    if overlay is None:
        return
    if overlay.suffix.lower() not in _VIDEO_ENDINGS:
        raise typer.BadParameter(
            f"{overlay} does not end in {' or '.join(_VIDEO_ENDINGS)}", param_hint="--overlay"
        )
    if len(media) > 1:
        raise typer.BadParameter("goes with one MEDIA at a time", param_hint="--overlay")
    _must_exist(media[0])  # before a missing folder is offered
    check_place(overlay, "--overlay", force=asked["force"], reads=files_read(asked))
    if asked["output"] is not None and overlay.absolute() == asked["output"].absolute():
        raise typer.BadParameter("gives the same name as --output", param_hint="--overlay")
    from dashfusion_models.media import moving_pictures

    moving_pictures(media[0])


def _write_overlay(analysis: "Analysis", target: Path, context: typer.Context) -> None:
    from dashfusion_cli.render.overlay import write_overlay

    session, wanted = session_of(context), option_values(context.params)
    with show_progress(session) as board, stdout_for_results_only():
        board.title(f"{target}")
        warnings = write_overlay(
            analysis,
            target,
            start_s=wanted["start_s"],
            end_s=wanted["end_s"],
            force=context.params["force"],
            report=board,
        )
    for warning in warnings:
        say_warning(f"{target}: {warning}", session)
    say_note(f"written to {target}", session)


def _first_must_exist(media: list[Path]) -> None:
    """Fail before the models are loaded where a mistyped name is all there is."""
    if not any(path.exists() for path in media):
        _must_exist(media[0])


def _must_exist(path: Path) -> None:
    if path.is_dir():
        raise MediaError(f"{path}: is a folder; name the files in it")
    if not path.exists():
        raise MediaError(f"{path}: no such file; {meant_file(path) or 'check the name'}")
