"""A transcript that was given: SubRip (.srt), WebVTT (.vtt) or plain lines (.txt).

A given transcript is trusted: confidence 1. Plain lines have no times; `spread` lays them over the
speech that was found.
"""

import codecs
import dataclasses
import html
import io
import re
from collections.abc import Sequence
from pathlib import Path

from dashfusion_models.errors import DataError
from dashfusion_models.records import Phrase, Span, Transcript

__all__ = ["read_transcript", "spread"]

_SUBTITLES = {".srt": "srt", ".vtt": "vtt"}
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|\{\\[^{}]*\}")  # <i>, <font ...>, SubStation's {\an8}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_transcript(path: Path) -> Transcript:
    """Return the phrases of a transcript file in order of time; the language is not known.

    A .txt has one phrase a line; its times are all 0 and `times_estimated` is set.

    Raises:
        DataError: the file cannot be read, is of another kind or holds no words.
    """
    kind = path.suffix.lower()
    if kind not in {*_SUBTITLES, ".txt"}:
        raise DataError(f"{path}: not a transcript; give an .srt, .vtt or .txt file")
    text = _text(path)
    phrases = _lines(text) if kind == ".txt" else _cues(path, text, _SUBTITLES[kind])
    if not phrases:
        raise DataError(f"{path}: no words in it; check that it is the right file")
    return Transcript(
        phrases, language=None, engine=None, model=None, times_estimated=kind == ".txt"
    )


def spread(transcript: Transcript, speech: Sequence[Span], duration_s: float) -> Transcript:
    """Lay the phrases over the speech, each in proportion to its length in characters.

    Time runs only while somebody speaks, so that a long silence takes no words. Without any speech
    the whole duration is taken.
    """
    spans = [span for span in speech if span.duration_s > 0.0] or [Span(0.0, duration_s)]
    spoken_s = sum(span.duration_s for span in spans)
    total = sum(len(phrase.text) for phrase in transcript.phrases)
    phrases, before = [], 0
    for phrase in transcript.phrases:
        after = before + len(phrase.text)
        start_s = _file_time(spans, spoken_s * before / total, starts=True)
        end_s = _file_time(spans, spoken_s * after / total, starts=False)
        phrases.append(dataclasses.replace(phrase, start_s=start_s, end_s=max(start_s, end_s)))
        before = after
    return dataclasses.replace(transcript, phrases=tuple(phrases), times_estimated=True)


def _file_time(spans: Sequence[Span], spoken_s: float, *, starts: bool) -> float:
    """Return when so many seconds have been spoken.

    Where that is in a pause: its end for something that starts then, its begin for an end.
    """
    for span in spans:
        at_end = spoken_s - span.duration_s
        if at_end < -1e-9 or (not starts and at_end <= 1e-9):
            return span.start_s + max(0.0, min(spoken_s, span.duration_s))
        spoken_s = at_end
    return spans[-1].end_s


def _text(path: Path) -> str:
    """Decode by byte order mark, else as UTF-8, else as Windows' Western European."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"{path}: cannot be read ({reason}); check the path") from error
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        # Latin-1 for the five bytes that Windows' table leaves open.
        text = data.decode("cp1252", errors="ignore") if encoding == "utf-8" else ""
    if "\0" in text:
        raise DataError(f"{path}: not a text file; give an .srt, .vtt or .txt file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(text: str) -> tuple[Phrase, ...]:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return tuple(Phrase(0.0, 0.0, line, (), 1.0) for line in lines if line)


def _cues(path: Path, text: str, kind: str) -> tuple[Phrase, ...]:
    """Read the cues, tags removed, lines of a cue joined, in order of time."""
    import webvtt
    from webvtt.errors import MalformedCaptionError, MalformedFileError

    try:
        cues = webvtt.WebVTT.from_buffer(io.StringIO(text), format=kind).captions
    except (MalformedFileError, MalformedCaptionError) as error:
        reason = " ".join(str(error).split()) or "malformed"
        raise DataError(
            f"{path}: not a {kind} file ({reason}); save it again, or give the words as .txt"
        ) from error
    phrases = []
    for cue in cues:
        words = " ".join(html.unescape(_TAG.sub("", cue.text)).split())
        start_s, end_s = _seconds(cue.start), _seconds(cue.end)
        if words and end_s > start_s:
            phrases.append(Phrase(start_s, end_s, words, (), 1.0))
    return tuple(sorted(phrases, key=lambda phrase: (phrase.start_s, phrase.end_s)))


def _seconds(time: str) -> float:
    """Return the seconds of `h:mm:ss.mmm` (webvtt's own property cuts off the fraction)."""
    seconds = 0.0
    for part in time.replace(",", ".").split(":"):
        seconds = seconds * 60.0 + float(part)
    return seconds
