"""The options that several commands share, so that they read and behave the same everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dashfusion_cli.messages import set_loudness
from dashfusion_cli.session import session_of
from dashfusion_cli.settings import load_settings, setting

__all__ = [
    "DATASETS",
    "DATASETS_HELP",
    "Asr",
    "AsrModel",
    "CacheLimit",
    "Checkpoint",
    "Config",
    "DataRoot",
    "Datasets",
    "Device",
    "End",
    "Engine",
    "Force",
    "Language",
    "MediaRoot",
    "Offline",
    "OutputFile",
    "Quiet",
    "ReportForm",
    "Segments",
    "Start",
    "Stream",
    "TableOrJson",
    "Transcript",
    "Translate",
    "Verbose",
    "Without",
    "Workers",
    "example",
]


class TableOrJson(StrEnum):
    """The forms of what has no others."""

    table = "table"
    json = "json"


class ReportForm(StrEnum):
    """The forms of a report."""

    table = "table"
    json = "json"
    csv = "csv"


class Engine(StrEnum):
    """The speech engines by name."""

    auto = "auto"
    faster_whisper = "faster-whisper"
    openai_whisper = "openai-whisper"


class Stream(StrEnum):
    """The modalities by name."""

    text = "text"
    audio = "audio"
    vision = "vision"


def example(*lines: str) -> str:
    """Return the end of a --help: how the command is used, in Markdown."""
    if len(lines) == 1:
        return f"Example: `{lines[0]}`"
    return "\n\n".join(["Examples:", *(f"- `{line}`" for line in lines)])


def _set_verbose(context: typer.Context, value: bool) -> bool:
    session = session_of(context)
    session.verbose |= value
    set_loudness(session)
    return value


def _set_quiet(context: typer.Context, value: bool) -> bool:
    session = session_of(context)
    session.quiet |= value
    set_loudness(session)
    return value


# -- for every command --

Config = Annotated[
    Path | None,
    setting(
        "--config",
        metavar="FILE",
        callback=load_settings,
        is_eager=True,
        help="Settings file instead of dashfusion.toml in your configuration folder.",
    ),
]
Quiet = Annotated[
    bool, setting("--quiet", "-q", callback=_set_quiet, help="No progress, no warnings.")
]
Workers = Annotated[
    int | None,
    setting("--workers", min=1, help="Files at a time; without it what cores and memory carry."),
]
Verbose = Annotated[
    bool,
    setting("--verbose", "-v", callback=_set_verbose, help="Tracebacks, logs and stage times."),
]
Offline = Annotated[
    bool, setting("--offline", help="Never download anything; what is missing is an error.")
]
Device = Annotated[
    str,
    setting(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps; auto takes a GPU that works.",
    ),
]
OutputFile = Annotated[
    Path | None,
    setting("--output", "-o", metavar="FILE", help="Write to FILE, whole or not at all."),
]
Force = Annotated[bool, setting("--force", help="Replace files that exist already.")]
Checkpoint = Annotated[
    str,
    setting(
        "--checkpoint",
        metavar="NAME|PATH",
        help="The model that scores: a name of `weights list`, or a file.",
    ),
]

# -- for every command that reads labelled data --

DATASETS = "NAME|STORE|MANIFEST"
DATASETS_HELP = (
    "mosi, mosei or sims (stores under --data-root), a store's folder, or a CSV of "
    "labelled clips; may be repeated."
)
Datasets = Annotated[list[Path], setting("--dataset", metavar=DATASETS, help=DATASETS_HELP)]
DataRoot = Annotated[
    Path, setting("--data-root", metavar="DIR", help="Where the stores mosi, mosei, sims lie.")
]
CacheLimit = Annotated[
    float,
    setting(
        "--cache-limit",
        metavar="GB",
        min=0,
        help="Features kept in the cache; beyond it, those used longest ago go.",
    ),
]
MediaRoot = Annotated[
    Path | None,
    setting("--media-root", metavar="DIR", help="Where the files of a CSV lie, if not beside it."),
]

# -- for every command that opens media --

Language = Annotated[
    str,
    setting("--language", metavar="CODE", help="What is spoken (en, zh, de, ...); auto finds out."),
]
Translate = Annotated[
    bool,
    setting(
        "--translate", help="Translate to English what the model does not read, then score it."
    ),
]
Transcript = Annotated[
    Path | None,
    setting(
        "--transcript",
        metavar="FILE",
        help="Subtitles (srt, vtt) or plain text (txt) to use instead of recognition.",
    ),
]
Asr = Annotated[
    Engine, setting("--asr", help="Speech engine; auto takes the fastest that is installed.")
]
AsrModel = Annotated[
    str,
    setting(
        "--asr-model", metavar="SIZE", help="Whisper's size: tiny, base, small, medium or large-v3."
    ),
]
Segments = Annotated[
    str,
    setting(
        "--segments",
        metavar="HOW",
        help="What gets a score: each sentence, the whole, or windows of so many seconds.",
    ),
]
Without = Annotated[
    list[Stream] | None, setting("--without", help="Score without one of them; may be repeated.")
]
Start = Annotated[
    str | None, setting("--start", metavar="TIME", help="Begin here: seconds or h:mm:ss.")
]
End = Annotated[str | None, setting("--end", metavar="TIME", help="End here: seconds or h:mm:ss.")]
