"""What is said as subtitles: SubRip (srt) and WebVTT, which carries the sentiment as a class.

Source: WebVTT (W3C); SubRip has no standard, only what players read.
"""

from collections.abc import Iterator
from html import escape

from dashfusion_cli.render.captions import Caption, captions_of
from dashfusion_models.analysis import Analysis, Segment

__all__ = ["render_srt", "render_vtt"]

# Told apart by those who see no red or green (Okabe & Ito, 2008).
_STYLES = {"positive": "#56b4e9", "neutral": "#ffffff", "negative": "#e69f00"}


def render_srt(analysis: Analysis, *, scores: bool = False) -> bytes:
    """Return the captions of one analysis as a SubRip file in UTF-8.

    The speaker stands before what is said, where a name is known, and with `scores` the score
    before both.
    """
    blocks = []
    for number, (segment, caption) in enumerate(_captions(analysis), start=1):
        times = f"{_time(caption.start_s, ',')} --> {_time(caption.end_s, ',')}"
        named = f"{' '.join(segment.speaker.split())}: " if segment.speaker else ""
        text = f"{_score(segment) if scores else ''}{named}{caption.text}"
        blocks.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(blocks).encode("utf-8", "replace")


def render_vtt(analysis: Analysis, *, scores: bool = False) -> bytes:
    """Return the captions of one analysis as a WebVTT file.

    Each carries the classes `positive`, `neutral` or `negative`, and its label with a hyphen for a
    space; the speaker is a voice span around what is said. With `scores`, the score stands before
    what is said.
    """
    style = "\n".join(f"::cue(.{name}) {{ color: {color} }}" for name, color in _STYLES.items())
    model = f"{analysis.model.name} ({analysis.model.license})".replace("-->", "->")
    blocks = [
        "WEBVTT\n",
        f"NOTE dashfusion {analysis.tool_version}, {' '.join(model.split())}\n",
        f"STYLE\n{style}\n",
    ]
    for number, (segment, caption) in enumerate(_captions(analysis), start=1):
        times = f"{_time(caption.start_s, '.')} --> {_time(caption.end_s, '.')}"
        text = escape(f"{_score(segment) if scores else ''}{caption.text}", quote=False)
        classes = ".".join(dict.fromkeys((_sign(segment), segment.label.replace(" ", "-"))))
        said = f"<c.{classes}>{text}</c>"
        if segment.speaker:
            said = f"<v {escape(' '.join(segment.speaker.split()), quote=False)}>{said}</v>"
        blocks.append(f"{number}\n{times}\n{said}\n")
    return "\n".join(blocks).encode("utf-8", "replace")


def _captions(analysis: Analysis) -> Iterator[tuple[Segment, Caption]]:
    for segment in analysis.segments:
        for caption in captions_of(segment):
            yield segment, caption


def _score(segment: Segment) -> str:
    return f"[{segment.score:+.1f}] "


def _sign(segment: Segment) -> str:
    """The last word of a label: its strength goes."""
    return segment.label.split()[-1]


def _time(seconds: float, mark: str) -> str:
    """Hours, minutes, seconds and thousandths; `mark` stands before these."""
    thousandths = max(0, round(seconds * 1000))
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, part = divmod(rest, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}{mark}{part:03d}"
