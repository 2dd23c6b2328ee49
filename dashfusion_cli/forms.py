"""The forms of a result: which is meant, what goes with it, what turns an analysis into bytes."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from dashfusion_cli.output import Output

if TYPE_CHECKING:
    from dashfusion_models.analysis import Analysis

__all__ = ["AnalysisForm", "check_form", "form_of", "renderer_of"]

Form = TypeVar("Form", bound=StrEnum)


class AnalysisForm(StrEnum):
    """The forms by name."""

    table = "table"
    json = "json"
    csv = "csv"
    srt = "srt"
    vtt = "vtt"
    html = "html"


_SUBTITLES = (AnalysisForm.srt, AnalysisForm.vtt)
_OF_ONE_FILE = {
    **dict.fromkeys(_SUBTITLES, ""),
    AnalysisForm.html: "; `batch --html` makes a page for each file",
}

_LINES = (".jsonl", ".ndjson")  # JSON Lines, of one file too
_ENDINGS = {
    ".txt": "table",
    ".json": "json",
    **dict.fromkeys(_LINES, "json"),
    ".csv": "csv",
    ".srt": "srt",
    ".vtt": "vtt",
    ".html": "html",
    ".htm": "html",
}

Render = Callable[["Analysis"], bytes]


def form_of(context: typer.Context, forms: type[Form]) -> Form:
    """Return the form that is meant: --format, else by the ending of --output, else the settings'.

    Raises:
        typer.BadParameter: nobody chose a form, and the ending names none: a table there would
            only look like something else.
    """
    form: Form = context.params["format"]
    output: Path | None = context.params["output"]
    source = context.get_parameter_source("format")
    chosen = source.name if source is not None else "DEFAULT"
    if output is None or chosen == "COMMANDLINE":
        return form
    ending = output.suffix.lower()
    known = {end: name for end, name in _ENDINGS.items() if name in [f.value for f in forms]}
    if ending in known:
        return forms(known[ending])
    if ending and chosen == "DEFAULT":
        way_out = f"give --format, or end the name in {', '.join(known)}"
        fact = f"{output.suffix}: not a known output format"
        raise typer.BadParameter(f"{fact}; {way_out}", param_hint="--output")
    return form


def check_form(asked: dict[str, Any]) -> None:
    """Refuse options that do not go with the form, before anything is loaded.

    Raises:
        typer.BadParameter: a wrong command line.
    """
    form = asked["format"]
    if form in _OF_ONE_FILE and len(asked["media"]) > 1:
        fact = f"{form} goes with one MEDIA at a time{_OF_ONE_FILE[form]}"
        raise typer.BadParameter(fact, param_hint="MEDIA")
    if asked["caption_scores"] and form not in _SUBTITLES:
        raise typer.BadParameter("goes with --format srt or vtt", param_hint="--caption-scores")
    if asked["embed_video"] and form is not AnalysisForm.html:
        raise typer.BadParameter("goes with --format html", param_hint="--embed-video")


def renderer_of(context: typer.Context, out: Output) -> Render:
    """Return what turns one analysis after the other into the bytes to write."""
    asked = context.params
    form = asked["format"]
    if form is AnalysisForm.html:
        from dashfusion_cli.html_run import render_page

        return partial(render_page, context=context)
    if form in _SUBTITLES:
        from dashfusion_cli.render.subtitles import render_srt, render_vtt

        render = render_srt if form is AnalysisForm.srt else render_vtt
        return partial(render, scores=asked["caption_scores"])
    if form is AnalysisForm.json:
        from dashfusion_cli.render.json import render_json, render_json_line

        in_lines = out.ending in _LINES or len(asked["media"]) > 1
        return render_json_line if in_lines else render_json
    verbose = asked["verbose"]
    return _table_or_csv(form, out, timing=asked["timing"] or verbose, details=verbose)


def _table_or_csv(form: AnalysisForm, out: Output, *, timing: bool, details: bool) -> Render:
    """Return what writes a header once, or a blank line between two tables."""
    from dashfusion_cli.render.csv import render_csv
    from dashfusion_cli.render.table import render_table

    written = 0

    def render(analysis: "Analysis") -> bytes:
        nonlocal written
        written += 1
        if form is AnalysisForm.csv:
            return render_csv(analysis, header=written == 1)
        table = render_table(analysis, out.look(), timing=timing, details=details)
        return ("\n" * (written > 1) + table).encode(out.encoding, "replace")

    return render
