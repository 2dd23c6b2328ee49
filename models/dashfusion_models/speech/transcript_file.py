"""A transcript that was given: SubRip (.srt), WebVTT (.vtt) or plain lines (.txt).

A given transcript is trusted: confidence 1. Plain lines have no times; `spread` lays them over the
speech that was found. Who speaks is read from WebVTT's voices (`<v Anna>`) and from names before
what is said (`speaker_names`), which are no words of it.
"""

import codecs
import dataclasses
import hashlib
import html
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashfusion_models.bounded_file import read_bytes
from dashfusion_models.errors import TranscriptError
from dashfusion_models.records import Phrase, Span, Transcript
from dashfusion_models.speech.speaker_names import (
    Turn,
    begins_turn,
    ends_turn,
    names_in,
    turns,
)

__all__ = ["read_transcript", "seconds_without_words", "spread"]

_SUBTITLES = {".srt": "srt", ".vtt": "vtt"}
_MOST_LINES = 50_000  # or cues: of a day of speech
_MOST_BYTES = 16 << 20
_GOES_ON_S = 2.0  # a cue that ends in the middle of a sentence is gone on with after less
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?(?:\s+(?P<name>[^<>]*))?>|</v>", re.IGNORECASE)
# <i>, <font ...>, WebVTT's times of words, SubStation's {\an8}
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class _Voice:
    """Lines of a cue inside one voice span, or outside of any."""

    speaker: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Cue(Span):
    voices: tuple[_Voice, ...]


def read_transcript(path: Path) -> Transcript:
    """Return the phrases of a transcript file in order of time; the language is not known.

    A phrase is what one person says in a cue of subtitles. A .txt has one phrase a line (a sentence
    that goes on in the next line, in small letters, takes that line too); its times are all 0 and
    `times_estimated` is set. There a name holds until the next one.

    Raises:
        TranscriptError: the file cannot be read, is of another kind, holds no words, or more of
            them than anybody says in a day.
    """
    kind = path.suffix.lower()
    if kind not in {*_SUBTITLES, ".txt"}:
        raise TranscriptError(f"{path}: not a transcript; give an .srt, .vtt or .txt file")
    data = _read(path)
    text = _text(path, data)
    count, what = (text.count("\n"), "lines") if kind == ".txt" else (text.count("-->"), "cues")
    if count > _MOST_LINES:
        fact = f"has {count} {what}, more than the {_MOST_LINES} that are read"
        raise TranscriptError(f"{path}: {fact}; cut it into parts")
    phrases = _spoken(_cues(path, text, _SUBTITLES[kind])) if kind != ".txt" else _lines(text)
    if not phrases:
        raise TranscriptError(f"{path}: no words in it; check that it is the right file")
    return Transcript(
        phrases,
        language=None,
        engine=None,
        model=None,
        times_estimated=kind == ".txt",
        sha256=hashlib.sha256(data).hexdigest(),
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


def seconds_without_words(transcript: Transcript, speech: Sequence[Span]) -> float:
    """Return how many seconds of `speech` lie outside all phrases of a transcript with times.

    Phrases may overlap; each second counts once.
    """
    outside_s = sum(span.duration_s for span in speech)
    reached_s = 0.0
    for phrase in sorted(transcript.phrases, key=lambda p: (p.start_s, p.end_s)):
        new = Span(max(reached_s, phrase.start_s), max(reached_s, phrase.end_s))
        outside_s -= sum(new.overlap_s(span) for span in speech)
        reached_s = max(reached_s, phrase.end_s)
    return max(0.0, outside_s)


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


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path, most=_MOST_BYTES)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TranscriptError(f"{path}: cannot be read ({reason}); check the path") from error


def _text(path: Path, data: bytes) -> str:
    """Decode by byte order mark, else as UTF-8, else as Windows' Western European."""
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        # Latin-1 for the five bytes that Windows' table leaves open.
        text = data.decode("cp1252", errors="ignore") if encoding == "utf-8" else ""
    if "\0" in text:
        raise TranscriptError(f"{path}: not a text file; give an .srt, .vtt or .txt file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(text: str) -> tuple[Phrase, ...]:
    """Read plain lines; a name holds until the next one, as in a play."""
    lines = [" ".join(line.split()) for line in text.split("\n")]
    has_stops = any(map(ends_turn, lines))
    paragraphs: list[str] = []
    before = ""  # the line above
    for line in lines:
        goes_on = before and has_stops and line[:1].islower() and not ends_turn(before)
        if goes_on:
            paragraphs[-1] += f" {line}"
        elif line:
            paragraphs.append(line)
        before = line
    names = names_in(paragraphs)
    phrases: list[Phrase] = []
    speaker: str | None = None
    for paragraph in paragraphs:
        (turn,) = turns([paragraph], names)
        if turn.is_marked:
            speaker = turn.speaker
        if turn.text:
            phrases.append(Phrase(0.0, 0.0, turn.text, (), 1.0, speaker))
    return tuple(phrases)


def _cues(path: Path, text: str, kind: str) -> list[_Cue]:
    """Read the cues in order of time, tags removed."""
    import webvtt
    from webvtt.errors import MalformedCaptionError, MalformedFileError

    try:
        cues = webvtt.WebVTT.from_buffer(io.StringIO(text), format=kind).captions
    except (MalformedFileError, MalformedCaptionError) as error:
        reason = " ".join(str(error).split()) or "malformed"
        raise TranscriptError(
            f"{path}: not a {kind} file ({reason}); save it again, or give the words as .txt"
        ) from error
    found = [
        _Cue(_seconds(cue.start), _seconds(cue.end), tuple(_voices(cue.raw_text))) for cue in cues
    ]
    timed = (cue for cue in found if cue.duration_s > 0 and cue.voices)
    return sorted(timed, key=lambda cue: (cue.start_s, cue.end_s))


def _voices(text: str) -> Iterator[_Voice]:
    """Take a cue apart at its voice spans; each ends with the next one, or with the cue."""
    speaker, begin = None, 0
    for match in [*_VOICE.finditer(text), None]:
        inside = _TAG.sub("", text[begin : match.start() if match else None])
        lines = (" ".join(html.unescape(line).split()) for line in inside.split("\n"))
        if kept := tuple(filter(None, lines)):
            yield _Voice(speaker, kept)
        if match is not None:
            speaker = " ".join(html.unescape(match["name"] or "").split()) or None
            begin = match.end()


def _spoken(cues: Sequence[_Cue]) -> tuple[Phrase, ...]:
    """Give each turn of a cue its share of the time, by characters.

    A name holds to the end of its cue, and where a cue ends in the middle of a sentence, for what
    the next one begins with in small letters.
    """
    names = names_in([line for cue in cues for line in _starts(cue)])
    phrases: list[Phrase] = []
    before = Turn(None, "")
    before_s = 0.0
    for cue in cues:
        said = [turn for voice in cue.voices for turn in _turns(voice, names)]
        if cue.start_s - before_s < _GOES_ON_S and _goes_on(before, said[0]):
            said[0] = dataclasses.replace(said[0], speaker=before.speaker)
        before, before_s = said[-1], cue.end_s
        phrases += _timed(said, cue)
    return tuple(phrases)


def _goes_on(before: Turn, after: Turn) -> bool:
    """Whether a cue goes on with what the one before it left unfinished."""
    is_unfinished = not before.text or (after.text[:1].islower() and not ends_turn(before.text))
    return is_unfinished and not after.is_marked


def _starts(cue: _Cue) -> Iterator[str]:
    """The lines of a cue at which somebody may begin to speak."""
    for voice in cue.voices:
        if voice.speaker is None:
            yield voice.lines[0]
            for above, line in zip(voice.lines, voice.lines[1:], strict=False):
                if begins_turn(line) and (ends_turn(above) or begins_turn(above)):
                    yield line


def _turns(voice: _Voice, names: frozenset[str]) -> list[Turn]:
    if voice.speaker is not None:
        return [Turn(voice.speaker, " ".join(voice.lines), is_marked=True)]
    return turns(voice.lines, names)


def _timed(said: Iterable[Turn], cue: Span) -> Iterator[Phrase]:
    said = [turn for turn in said if turn.text]
    total = sum(len(turn.text) for turn in said)
    before = 0
    for turn in said:
        after = before + len(turn.text)
        start_s, end_s = (cue.start_s + cue.duration_s * n / total for n in (before, after))
        yield Phrase(start_s, end_s, turn.text, (), 1.0, turn.speaker)
        before = after


def _seconds(time: str) -> float:
    """Return the seconds of `h:mm:ss.mmm` (webvtt's own property cuts off the fraction)."""
    seconds = 0.0
    for part in time.replace(",", ".").split(":"):
        seconds = seconds * 60.0 + float(part)
    return seconds
