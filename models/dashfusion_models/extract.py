"""The one road from a file to utterances with their three sequences.

`analyze`, `batch`, `extract`, `train` and `eval` all come along here. Stages overlap: pictures are
decoded in one thread and looked at in a child process, while the sound is heard in two others
(speech recognition, voice features); each stream of the file is decoded once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from dashfusion_models.engines import Engines
from dashfusion_models.errors import FaceError
from dashfusion_models.features.audio import FRAMES_PER_SECOND, LOG_F0
from dashfusion_models.features.tracks import Track, choose, track
from dashfusion_models.features.vision import sequence
from dashfusion_models.media import FrameReader, Sound, probe, read_image, read_sound
from dashfusion_models.records import (
    MODALITIES,
    SAMPLE_RATE_HZ,
    FaceChoice,
    Features,
    Frame,
    FrameFaces,
    MediaInfo,
    Modality,
    Phrase,
    Progress,
    Span,
    Streams,
    Transcript,
    Utterance,
    Word,
)
from dashfusion_models.segment import SegmentRule, silent_stretches, utterances
from dashfusion_models.transcript_file import spread

__all__ = ["Extracted", "Extraction", "Request", "extract"]

LEAST_SPEECH_S = 0.1  # less speech inside an utterance is no voice
LEAST_FACE_SHARE = 0.1  # of an utterance's pictures; less is no face
FRAME_S = 0.1  # pictures are a tenth of a second apart

Report = Callable[[Progress], None]
WordOrPhrase = TypeVar("WordOrPhrase", Word, Phrase)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is wanted of a file.

    `transcript` takes the place of recognition. With `whole` the speech of the file is one
    utterance, from where it begins to where it ends (labelled clips). Modalities that are not
    listed are treated as if the file had none.
    """

    language: str | None = None
    translate: bool = False
    transcript: Transcript | None = None
    rule: SegmentRule = field(default_factory=lambda: SegmentRule.parse("sentence"))
    whole: bool = False
    modalities: frozenset[Modality] = frozenset(MODALITIES)
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True)
class Extracted:
    """One utterance with what the network reads of it."""

    utterance: Utterance
    features: Features
    present: Streams[float]
    face: FaceChoice | None


@dataclass(frozen=True)
class Extraction:
    """All utterances of a file in order of time."""

    media: MediaInfo
    transcript: Transcript | None
    extracted: tuple[Extracted, ...]
    warnings: tuple[str, ...]
    timing_s: dict[str, float]


@dataclass(frozen=True)
class _Heard:
    """What the sound told: where speech is, the words, the frames of the voice."""

    speech: tuple[Span, ...]
    transcript: Transcript | None
    frames: np.ndarray
    start_s: float


def extract(path: Path, request: Request, engines: Engines, report: Report) -> Extraction:
    """Run a file through all stages up to the network.

    The extraction is empty where there is neither speech nor a face.

    Raises:
        MediaError: the file cannot be read.
        SpeechError: the speech engine failed.
        WeightsError: weights that are needed are missing.
    """
    clock = _Clock()
    media = probe(path)
    warnings: list[str] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        watching = pool.submit(_watch, media, request, engines, report, clock, warnings)
        heard = _listen(media, request, engines, report, clock, warnings, pool)
        frames = watching.result()
    tracks = track(frames)
    end_s = min(request.end_s or _end_s(media, frames), _end_s(media, frames))
    found = _utterances(heard, tracks, request, media, end_s)
    extracted = [_cut(u, heard, frames, tracks, request, engines) for u in found]
    kept = tuple(e for e in extracted if any(p for _, p in e.features.present.items()))
    return Extraction(media, heard.transcript, kept, tuple(dict.fromkeys(warnings)), clock.seconds)


def _watch(
    media: MediaInfo,
    request: Request,
    engines: Engines,
    report: Report,
    clock: _Clock,
    warnings: list[str],
) -> tuple[FrameFaces, ...]:
    """Look at the pictures; without them, or without a face engine, at nothing."""
    if "vision" not in request.modalities:
        return ()
    if not media.has_video:
        warnings.append("no pictures: scored without the face")
        return ()
    faces = engines.faces(video=not media.is_image)
    with clock.stage("vision"):
        try:
            faces.start()
            for frame in _frames(media, request, warnings):
                faces.submit(frame)
                report(Progress("vision", frame.seconds, media.duration_s))
            return faces.finish()
        except FaceError as error:
            warnings.append(f"faces were not looked at: {error}")
            return ()
        finally:
            warnings += faces.warnings


def _frames(media: MediaInfo, request: Request, warnings: list[str]) -> Iterator[Frame]:
    """The one picture of an image, or those of a video; afterwards what was wrong with it."""
    if media.is_image:
        yield read_image(media.path)
        return
    with FrameReader(media.path, start_s=request.start_s, end_s=request.end_s) as reader:
        yield from reader
        warnings += reader.warnings


def _listen(
    media: MediaInfo,
    request: Request,
    engines: Engines,
    report: Report,
    clock: _Clock,
    warnings: list[str],
    pool: ThreadPoolExecutor,
) -> _Heard:
    """Hear the sound: voice activity first, then words and voice features side by side."""
    nothing = np.zeros((0, engines.audio.spec.dims), np.float32)
    if not {"text", "audio"} & request.modalities:
        return _Heard((), request.transcript, nothing, request.start_s)
    if not media.has_audio:
        if not media.is_image:
            warnings.append("no sound: scored from the face alone")
        return _Heard((), request.transcript, nothing, request.start_s)
    with clock.stage("decode"):
        sound = read_sound(media.path, start_s=request.start_s, end_s=request.end_s)
        warnings += sound.warnings
        speech = engines.voice_activity()(sound.samples)
    voice = pool.submit(_voice, sound, request, engines, report, clock)
    transcript = _transcribe(sound, speech, request, engines, report, clock)
    shifted = tuple(_later(span, sound.start_s) for span in speech)
    return _Heard(shifted, transcript, voice.result(), sound.start_s)


def _voice(
    sound: Sound, request: Request, engines: Engines, report: Report, clock: _Clock
) -> np.ndarray:
    if "audio" not in request.modalities:
        return np.zeros((0, engines.audio.spec.dims), np.float32)
    with clock.stage("audio"):
        frames = engines.audio.frames(sound.samples)
        seconds = len(frames) / FRAMES_PER_SECOND
        report(Progress("audio", seconds, seconds))
    return frames


def _transcribe(
    sound: Sound,
    speech: Sequence[Span],
    request: Request,
    engines: Engines,
    report: Report,
    clock: _Clock,
) -> Transcript | None:
    """Recognise the words, or lay a given transcript without times over the speech."""
    if "text" not in request.modalities:
        return None
    given = request.transcript
    if given is not None:
        if not given.times_estimated:
            return given
        shifted = [_later(span, sound.start_s) for span in speech]
        return spread(given, shifted, sound.start_s + _seconds(sound))
    if not speech:
        return None
    with clock.stage("transcribe"):
        heard = engines.recogniser().recognise(
            sound.samples,
            speech,
            language=request.language,
            translate=request.translate,
            report=report,
        )
    return _shifted(heard, sound.start_s)


def _utterances(
    heard: _Heard, tracks: Sequence[Track], request: Request, media: MediaInfo, end_s: float
) -> tuple[Utterance, ...]:
    """Cut what is scored: utterances of speech, and silent stretches in which a face is seen."""
    seen = _seen(tracks)
    if request.whole:
        return (_whole(heard, request, end_s),)
    if media.is_image:
        return (Utterance(0.0, 0.0, None, (), None),) if seen else ()
    spoken: tuple[Utterance, ...] = ()
    if heard.transcript is not None and heard.transcript.phrases:
        spoken = utterances(heard.transcript, rule=request.rule, duration_s=end_s)
    elif "text" not in request.modalities:
        spoken = _wordless(heard.speech)
    silent = silent_stretches(spoken, seen, duration_s=end_s)
    return tuple(sorted((*spoken, *silent), key=lambda u: (u.start_s, u.end_s)))


def _wordless(speech: Sequence[Span]) -> tuple[Utterance, ...]:
    """Speech that is scored without its words: cut where nobody speaks, at most 15 s long."""
    pieces = []
    for span in speech:
        count = max(1, int(np.ceil(span.duration_s / 15.0)))
        edges = np.linspace(span.start_s, span.end_s, count + 1).tolist()
        pieces += [Utterance(a, b, None, (), None) for a, b in pairwise(edges)]
    return tuple(pieces)


def _whole(heard: _Heard, request: Request, end_s: float) -> Utterance:
    """One utterance over all the speech, or over the whole file where nobody speaks."""
    phrases = heard.transcript.phrases if heard.transcript else ()
    text = " ".join(p.text for p in phrases if p.text).strip() or None
    start = min((s.start_s for s in heard.speech), default=request.start_s)
    end = max((s.end_s for s in heard.speech), default=end_s)
    confidence = float(np.mean([p.confidence for p in phrases])) if phrases else None
    words = tuple(w for p in phrases for w in p.words)
    return Utterance(start, end, text, words, confidence)


def _cut(
    utterance: Utterance,
    heard: _Heard,
    frames: Sequence[FrameFaces],
    tracks: Sequence[Track],
    request: Request,
    engines: Engines,
) -> Extracted:
    """Cut the three sequences of one utterance out of what was heard and seen."""
    span = utterance
    speech_s = sum(span.overlap_s(s) for s in heard.speech)
    length = max(span.duration_s, 1e-6)
    audio = None
    if speech_s >= LEAST_SPEECH_S and len(heard.frames):
        audio = engines.audio.cut(heard.frames, span, file_start_s=heard.start_s)
        audio = audio if audio.real.any() else None
    look = span if span.duration_s > 0 else Span(span.start_s, span.start_s + FRAME_S)
    chosen = choose(tracks, look, sound_energy=_loudness(heard)) if tracks else None
    vision, face = None, None
    if chosen is not None:
        shown = dict(chosen[0].faces)
        vision = sequence([(f.seconds, shown.get(f.seconds)) for f in frames], look)
        vision = vision if vision.share >= LEAST_FACE_SHARE else None
        face = chosen[1] if vision is not None else None
    text = utterance.text if "text" in request.modalities else None
    present = Streams(
        text=_covered(utterance, length) if text else 0.0,
        audio=min(1.0, speech_s / length) if audio is not None else 0.0,
        vision=vision.share if vision is not None else 0.0,
    )
    return Extracted(utterance, Features(text=text, audio=audio, vision=vision), present, face)


def _covered(utterance: Utterance, length: float) -> float:
    """Share of an utterance that its words cover; all of it where the words have no times."""
    if not utterance.words:
        return 1.0
    return min(1.0, sum(word.duration_s for word in utterance.words) / length)


def _loudness(heard: _Heard) -> tuple[np.ndarray, np.ndarray] | None:
    """How loud the voice is every 10 ms: the level in dB, as (times, values)."""
    if not len(heard.frames):
        return None
    times = heard.start_s + np.arange(len(heard.frames), dtype=np.float64) / FRAMES_PER_SECOND
    return times, heard.frames[:, LOG_F0 + 2].astype(np.float64)


def _seen(tracks: Sequence[Track]) -> list[Span]:
    """Where any face is seen: pictures closer than half a second belong together."""
    times = sorted({seconds for t in tracks for seconds, _ in t.faces})
    spans: list[Span] = []
    for t in times:
        if spans and t - spans[-1].end_s <= 0.5:
            spans[-1] = Span(spans[-1].start_s, t + FRAME_S)
        else:
            spans.append(Span(t, t + FRAME_S))
    return spans


def _end_s(media: MediaInfo, frames: Sequence[FrameFaces]) -> float:
    last = frames[-1].seconds if frames else 0.0
    return max(media.duration_s, last)


def _seconds(sound: Sound) -> float:
    return len(sound.samples) / SAMPLE_RATE_HZ


def _later(span: Span, seconds: float) -> Span:
    return Span(span.start_s + seconds, span.end_s + seconds)


def _shifted(transcript: Transcript, seconds: float) -> Transcript:
    """Move the times of a transcript, from those of the samples to those of the file."""
    if not seconds:
        return transcript

    def move(span: WordOrPhrase) -> WordOrPhrase:
        return replace(span, start_s=span.start_s + seconds, end_s=span.end_s + seconds)

    phrases = tuple(
        replace(move(p), words=tuple(move(w) for w in p.words)) for p in transcript.phrases
    )
    return replace(transcript, phrases=phrases)


class _Clock:
    """Adds up how long each stage was at work; stages run side by side."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                spent = time.perf_counter() - started
                self.seconds[name] = self.seconds.get(name, 0.0) + spent
