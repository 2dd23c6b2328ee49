"""From an analysis just made to its page: the link or the copy of the media, what was asked for."""

import io
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashfusion_cli.asked import option_values
from dashfusion_cli.progress import show_progress
from dashfusion_cli.render.html import Preview, link_to, render_html
from dashfusion_cli.session import session_of
from dashfusion_models.records import Progress

if TYPE_CHECKING:
    import typer

    from dashfusion_models.analysis import Analysis

__all__ = ["render_page", "settings_of"]

_TOLD = ("checkpoint", "language", "translate", "transcript", "transcripts", "asr", "asr_model",
         "segments", "without", "start", "end")  # fmt: skip


def render_page(analysis: "Analysis", context: "typer.Context") -> bytes:
    """Return the page of an analysis that the command `analyze` was asked for.

    Raises:
        MediaError: the media cannot be read again for the small copy.
    """
    asked = context.params
    return render_html(
        analysis.to_dict(),
        link=link_to(analysis.media.path, asked["output"]),
        preview=_preview(analysis, context) if asked["embed_video"] else None,
        settings=settings_of(context),
    )


def settings_of(context: "typer.Context") -> dict[str, str]:
    """Return the options that change an analysis and are not left as they are built in."""
    built_in = {parameter.name: parameter.default for parameter in context.command.params}
    return {
        f"--{name.replace('_', '-')}": _spelt(value)
        for name in _TOLD
        if (value := context.params.get(name)) and value != built_in.get(name)
    }


def _spelt(value: object) -> str:
    if value is True:
        return ""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list | tuple):
        return " ".join(map(_spelt, value))
    return str(value)


def _preview(analysis: "Analysis", context: "typer.Context") -> Preview:
    """Make a small copy of what was analysed."""
    from dashfusion_models.media import small_copy

    media = analysis.media
    if media.is_image:
        return Preview(_small_picture(media.path), "image/jpeg")
    wanted: Mapping[str, Any] = option_values(context.params)
    start_s, end_s = wanted["start_s"], wanted["end_s"]
    length_s = (media.duration_s if end_s is None else min(end_s, media.duration_s)) - start_s
    with show_progress(session_of(context)) as board:
        board.title(f"{media.path}")
        data = small_copy(
            media.path,
            start_s=start_s,
            end_s=end_s,
            report=lambda seconds: board(Progress("preview", seconds, length_s)),
        )
    return Preview(data, "video/mp4" if media.has_video else "audio/mp4", start_s)


def _small_picture(path: Path) -> bytes:
    from PIL import Image

    from dashfusion_models.media import read_image

    place = io.BytesIO()
    Image.fromarray(read_image(path).pixels).save(place, "JPEG", quality=80)
    return place.getvalue()
