"""What is said as subtitles: SubRip (srt) and WebVTT, which carries the sentiment as a class.

Source: WebVTT (W3C); SubRip has no standard, only what players read.
"""

from collections.abc import Iterator, Sequence
from html import escape

from dashfusion_cli.render.captions import Caption, captions_of
from dashfusion_cli.render.sign_colors import ON_DARK, sign_of
from dashfusion_cli.render.wording import left_out, part_of, without_controls
from dashfusion_models.analysis import Analysis, Segment

__all__ = ["render_srt", "render_vtt"]

# Players show captions on black. A line under the words says the sign without its colour.
_STYLES = {
    "positive": f"color: {ON_DARK.positive}; text-decoration: underline",
    "neutral": f"color: {ON_DARK.neutral}",
    "negative": f"color: {ON_DARK.negative}; text-decoration: underline dashed",
}


def render_srt(analysis: Analysis, *, scores: bool = False) -> bytes:
    """Return the captions of one analysis as a SubRip file in UTF-8.

    The speaker stands before what is said, where a name is known, and with `scores` the score
    before both.
    """
    blocks = []
    for number, (segment, caption) in enumerate(_captions(analysis), start=1):
        times = f"{_time(caption.start_s, ',')} --> {_time(caption.end_s, ',')}"
        name = f"{' '.join(segment.speaker.split())}: " if segment.speaker else ""
        text = _text(segment, caption, scores=scores, name=name)
        blocks.append(f"{number}\n{times}\n{text}\n")
    return _file_of(blocks)


def render_vtt(analysis: Analysis, *, scores: bool = False) -> bytes:
    """Return the captions of one analysis as a WebVTT file.

    Each that is scored carries the classes `positive`, `neutral` or `negative`, and its label with
    a hyphen for a space; the speaker is a voice span around what is said. With `scores`, the score
    stands before what is said.
    """
    style = "\n".join(f"::cue(.{name}) {{ {rules} }}" for name, rules in _STYLES.items())
    blocks = [
        "WEBVTT\n",
        f"NOTE dashfusion {analysis.tool_version}, {_note(analysis)}\n",
        f"STYLE\n{style}\n",
    ]
    for number, (segment, caption) in enumerate(_captions(analysis), start=1):
        times = f"{_time(caption.start_s, '.')} --> {_time(caption.end_s, '.')}"
        text = escape(_text(segment, caption, scores=scores), quote=False)
        if segment.label is not None:
            sign = sign_of(segment.label)
            classes = ".".join(dict.fromkeys((sign, segment.label.replace(" ", "-"))))
            text = f"<c.{classes}>{text}</c>"
        if segment.speaker:
            text = f"<v {escape(' '.join(segment.speaker.split()), quote=False)}>{text}</v>"
        blocks.append(f"{number}\n{times}\n{text}\n")
    return _file_of(blocks)


def _file_of(blocks: Sequence[str]) -> bytes:
    return without_controls("\n".join(blocks)).encode("utf-8", "replace")


def _captions(analysis: Analysis) -> Iterator[tuple[Segment, Caption]]:
    for segment in analysis.segments:
        for caption in captions_of(segment):
            yield segment, caption


def _text(segment: Segment, caption: Caption, *, scores: bool, name: str = "") -> str:
    """The lines behind the speaker's name, with the score in front where it is wanted."""
    score = f"[{segment.score:+.1f}] " if scores and segment.score is not None else ""
    return f"{score}{name}{caption.text}"


def _note(analysis: Analysis) -> str:
    """Which model scored, which part of the file, and what was left out."""
    run = analysis.run
    model = " ".join(f"{analysis.model.name} ({analysis.model.license})".split())
    part = part_of(run.start_s, run.end_s, analysis.media.duration_s)
    return ", ".join(filter(None, (model, part, left_out(run.without)))).replace("-->", "->")


def _time(seconds: float, mark: str) -> str:
    """Hours, minutes, seconds and thousandths; `mark` stands before these."""
    thousandths = max(0, round(seconds * 1000))
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, part = divmod(rest, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}{mark}{part:03d}"
