"""From the options of a command that opens media to what the analyzer is asked for.

`analyze` has more options than a call should have arguments, and other commands share them: so
they are taken by name from the parameters that Typer has read and checked.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from dashfusion_cli.values import parse_seconds, parse_segments

if TYPE_CHECKING:
    from dashfusion_models.analyzer import AnalyzeOptions, Analyzer

_MODALITIES = 3

__all__ = ["check_times", "load_analyzer", "load_values", "option_values", "options_of"]


def check_times(asked: Mapping[str, Any]) -> None:
    """Refuse --start, --end, --segments and --without that leave nothing to score.

    Nothing is loaded for it.

    Raises:
        typer.BadParameter: a wrong command line.
    """
    parse_segments(asked["segments"])
    if len(set(asked["without"] or ())) == _MODALITIES:
        raise typer.BadParameter("leaves nothing to score", param_hint="--without")
    start_s, end_s = _span(asked)
    if end_s is not None and end_s <= start_s:
        raise typer.BadParameter(f"{asked['end']} is not after --start", param_hint="--end")


def options_of(asked: Mapping[str, Any]) -> "AnalyzeOptions":
    """Return what is wanted of each file."""
    from dashfusion_models.analyzer import AnalyzeOptions

    return AnalyzeOptions(**option_values(asked))


def option_values(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `AnalyzeOptions` is made of, which loads nothing."""
    start_s, end_s = _span(asked)
    return {
        "language": None if asked["language"] == "auto" else asked["language"],
        "translate": asked["translate"],
        "transcript": asked.get("transcript"),
        "segments": parse_segments(asked["segments"]),
        "without": frozenset(stream.value for stream in asked["without"] or ()),
        "start_s": start_s,
        "end_s": end_s,
    }


def load_analyzer(asked: Mapping[str, Any]) -> "Analyzer":
    """Open the checkpoint that was asked for; its network is loaded in the background."""
    # NumPy, not imported yet, multiplies small matrices here: a second thread would only take time
    # from the speech and face engines (7 % of a minute of video on two cores).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from dashfusion_models.analyzer import Analyzer

    values = load_values(asked)
    return Analyzer.load(values.pop("checkpoint"), **values, in_background=True)


def load_values(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Analyzer.load` is called with."""
    return {
        "checkpoint": asked["checkpoint"],
        "device": asked["device"],
        "asr": asked["asr"].value,
        "asr_model": asked["asr_model"],
        "offline": asked["offline"],
    }


def _span(asked: Mapping[str, Any]) -> tuple[float, float | None]:
    start, end = asked["start"], asked["end"]
    return (
        parse_seconds(start, "--start") if start is not None else 0.0,
        parse_seconds(end, "--end") if end is not None else None,
    )
