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
        help="Read settings from FILE, not from dashfusion.toml in your configuration folder.",
    ),
]
Quiet = Annotated[
    bool, setting("--quiet", "-q", callback=_set_quiet, help="Show no progress and no warnings.")
]
Workers = Annotated[
    int | None,
    setting(
        "--workers",
        metavar="N",
        min=1,
        help="Number of files processed at once (default: as many as cores and memory allow).",
    ),
]
Verbose = Annotated[
    bool,
    setting(
        "--verbose",
        "-v",
        callback=_set_verbose,
        help="Show tracebacks, logs and the time of each stage.",
    ),
]
Offline = Annotated[
    bool, setting("--offline", help="Download nothing; fail if something is missing.")
]
Device = Annotated[
    str,
    setting(
        "--device",
        metavar="DEVICE",
        help="Device to run on: auto, cpu, cuda, cuda:N or mps (auto: a GPU if one works).",
    ),
]
OutputFile = Annotated[
    Path | None,
    setting(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the result to FILE instead of standard output.",
    ),
]
Force = Annotated[bool, setting("--force", help="Overwrite existing files.")]
Checkpoint = Annotated[
    str,
    setting(
        "--checkpoint",
        metavar="NAME|PATH",
        help="Model to use: a file, or a name shown by `dashfusion weights list`.",
    ),
]

# -- for every command that reads labelled data --

DATASETS = "NAME|STORE|MANIFEST"
DATASETS_HELP = (
    "Data set: mosi, mosei or sims (a store under --data-root), the folder of a store, or a CSV of "
    "labelled clips; may be repeated."
)
Datasets = Annotated[list[Path], setting("--dataset", metavar=DATASETS, help=DATASETS_HELP)]
DataRoot = Annotated[
    Path,
    setting(
        "--data-root", metavar="DIR", help="Folder that contains the stores mosi, mosei and sims."
    ),
]
CacheLimit = Annotated[
    float,
    setting(
        "--cache-limit",
        metavar="GB",
        min=0,
        help="Maximum size of cached features in GB; the least recently used are removed.",
    ),
]
MediaRoot = Annotated[
    Path | None,
    setting(
        "--media-root",
        metavar="DIR",
        help="Folder that contains the files of a CSV (default: the folder of the CSV).",
    ),
]

# -- for every command that opens media --

Language = Annotated[
    str,
    setting(
        "--language",
        metavar="CODE",
        help="Spoken language, such as en, zh or de (auto: detect it).",
    ),
]
Translate = Annotated[
    bool,
    setting(
        "--translate", help="Translate speech to English if the model does not read its language."
    ),
]
Transcript = Annotated[
    Path | None,
    setting(
        "--transcript",
        metavar="FILE",
        help="Use a transcript (srt, vtt or txt) instead of speech recognition.",
    ),
]
Asr = Annotated[
    Engine,
    setting(
        "--asr",
        metavar="ENGINE",
        help="Speech recognition engine: auto, faster-whisper or openai-whisper (auto: the fastest "
        "one installed).",
    ),
]
AsrModel = Annotated[
    str,
    setting(
        "--asr-model",
        metavar="SIZE",
        help="Size of the Whisper model: tiny, base, small, medium or large-v3.",
    ),
]
Segments = Annotated[
    str,
    setting(
        "--segments",
        metavar="HOW",
        help="Unit to score: sentence, whole (the file as one utterance; only for clips of a few "
        "seconds), or the length of windows in seconds.",
    ),
]
Without = Annotated[
    list[Stream] | None,
    setting(
        "--without",
        metavar="MODALITY",
        help="Score the same utterances without text, audio or vision; may be repeated.",
    ),
]
Start = Annotated[
    str | None,
    setting(
        "--start", metavar="TIME", help="Start of the part to score, in seconds or as h:mm:ss."
    ),
]
End = Annotated[
    str | None,
    setting("--end", metavar="TIME", help="End of the part to score, in seconds or as h:mm:ss."),
]
