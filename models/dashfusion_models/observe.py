"""What can be heard and seen in a file: stages that run side by side.

Pictures are decoded in one thread and looked at in a child process; the sound is read at once, and
then recognised in one thread while another describes the voice. Each stream is decoded once.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from dashfusion_models.engines import Engines
from dashfusion_models.errors import FaceError, SpeechError, TranscriptError, WeightsError
from dashfusion_models.features.audio import FRAMES_PER_SECOND, loudness
from dashfusion_models.features.tracks import SoundEnergy
from dashfusion_models.media import FrameReader, Sound, read_image, read_sound
from dashfusion_models.records import (
    MODALITIES,
    SAMPLE_RATE_HZ,
    Frame,
    FrameFaces,
    Language,
    MediaInfo,
    Modality,
    Phrase,
    Progress,
    Samples,
    Span,
    Transcript,
    Word,
)
from dashfusion_models.segment import SegmentRule, in_sentences
from dashfusion_models.speech.transcript_file import seconds_without_words, spread
from dashfusion_models.spool import Spool
from dashfusion_models.stages import Stages

__all__ = ["Heard", "Observation", "Report", "Request"]

Report = Callable[[Progress], None]
WordOrPhrase = TypeVar("WordOrPhrase", Word, Phrase)

_AROUND_S = 1.0  # a mouth moves before it is heard
# Subtitles leave a laugh or an echo out; whoever leaves out more has another file's, or a part.
_WITHOUT_WORDS_S = 3.0
_WITHOUT_WORDS_SHARE = 0.2
# Nobody says more than thirty characters a second; a caption of a picture has no seconds at all.
_MOST_CHARACTERS_PER_S = 60
_ANY_CHARACTERS = 5_000


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is wanted of a file.

    `transcript` takes the place of recognition. With `whole` the speech of the file is one
    utterance, from where it begins to where it ends (labelled clips). `translate` turns speech that
    is not `readable` into English. A face engine that fails is a warning, unless `needs_faces`.
    `modalities` are those that are scored; the others are treated as if the file had none. Those in
    `cut_by` are heard and seen even where they are not scored, so that utterances begin and end
    where they would if they were.
    """

    language: str | None = None
    translate: bool = False
    readable: frozenset[str] = frozenset({"en"})
    needs_faces: bool = False
    transcript: Transcript | None = None
    rule: SegmentRule = field(default_factory=SegmentRule)
    whole: bool = False
    modalities: frozenset[Modality] = frozenset(MODALITIES)
    cut_by: frozenset[Modality] = frozenset()
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def observed(self) -> frozenset[Modality]:
        """The modalities that are looked for in the file, scored or not."""
        return self.modalities | self.cut_by

    @property
    def left_out(self) -> frozenset[Modality]:
        """The modalities that are only looked for."""
        return self.cut_by - self.modalities


@dataclass(frozen=True)
class Heard:
    """What the sound told: where speech is, the words, the frames of the voice from `start_s`.

    `samples` is the sound itself, from `start_s` too. `voice` is empty where the voice is not
    scored, both where it is not looked for. `sought_words`: a transcript of None tells that nobody
    speaks. What is long lies on disk and is read by stretches.
    """

    speech: tuple[Span, ...]
    transcript: Transcript | None
    voice: Spool
    samples: Spool
    start_s: float
    sought_words: bool

    def cut(self, span: Span) -> Samples:
        """Return the samples of a stretch of the file, as far as there are any."""
        first, last = (
            max(0, round((seconds - self.start_s) * SAMPLE_RATE_HZ))
            for seconds in (span.start_s, span.end_s)
        )
        samples: Samples = self.samples[first:last]
        return samples

    def loudness(self, span: Span) -> SoundEnergy | None:
        """Return the level in dB each 10 ms of a stretch and a little around it; None without."""
        count = -(-len(self.samples) * FRAMES_PER_SECOND // SAMPLE_RATE_HZ)
        if not count:
            return None
        around = (span.start_s - _AROUND_S, span.end_s + _AROUND_S)
        first, last = (
            min(count, max(0, round((seconds - self.start_s) * FRAMES_PER_SECOND)))
            for seconds in around
        )
        seconds = self.start_s + np.arange(first, last) / FRAMES_PER_SECOND
        return seconds, loudness(self.samples, first, last).astype(np.float64)


class Observation:
    """Hears and sees one file; `warnings` and `stages` fill while it works."""

    def __init__(
        self, media: MediaInfo, request: Request, engines: Engines, report: Report
    ) -> None:
        """Prepare to observe `media`."""
        self._media = media
        self._request = request
        self._engines = engines
        self._report = report
        self._stopped = threading.Event()
        self._sound_warnings: list[str] = []  # one list a thread, so that their order is fixed
        self._picture_warnings: list[str] = []
        self.stages = Stages()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong, each once: first with the sound, then with pictures that are scored."""
        pictures = self._picture_warnings if "vision" in self._request.modalities else ()
        return tuple(dict.fromkeys((*self._sound_warnings, *pictures)))

    def run(self) -> tuple[Heard, Sequence[FrameFaces]]:
        """Hear and see at the same time.

        Raises:
            MediaError: the file cannot be read.
            SpeechError: the speech engine failed.
            TranscriptError: the given transcript is longer than anybody can say in that time.
            WeightsError: weights that are needed are missing.
        """
        self._require_time_for_words()
        with ThreadPoolExecutor(max_workers=2) as pool:
            watching = pool.submit(self._watch)
            if "audio" in self._request.modalities and self._media.has_audio:
                self._engines.begin_voice()  # is ready when the sound is decoded
            try:
                return self._listen(pool), watching.result()
            except BaseException:
                self._stopped.set()  # or the pool would wait for the last picture
                raise

    def _require_time_for_words(self) -> None:
        """Refuse a transcript that cannot be of this file: each line of it would be scored."""
        given = self._request.transcript
        count = sum(len(phrase.text) for phrase in given.phrases) if given is not None else 0
        length_s = self._media.duration_s
        if count > _ANY_CHARACTERS + _MOST_CHARACTERS_PER_S * length_s:
            raise TranscriptError(
                f"{self._media.path}: lasts {length_s:.1f} s, and its transcript has {count} "
                "characters, more than anybody can say; check that it is the right file"
            )

    def _watch(self) -> Sequence[FrameFaces]:
        """Look at the pictures; without them, or without a face engine, at nothing."""
        if "vision" not in self._request.observed:
            return ()
        if not self._media.has_video:
            self._picture_warnings.append("no pictures: scored without the face")
            return ()
        start_s = self._request.start_s
        end_s = min(self._media.duration_s, self._request.end_s or math.inf)
        wanted_s = max(0.0, end_s - start_s)
        with self.stages.stage("vision"):
            try:
                faces = self._engines.faces(video=not self._media.is_image)
                faces.start()
                for frame in self._frames():
                    if self._stopped.is_set():
                        return ()
                    with self.stages.waiting("vision"):
                        faces.submit(frame)
                    self._report(Progress("vision", frame.seconds - start_s, wanted_s))
                with self.stages.waiting("vision"):
                    seen = faces.finish()
                self._report(Progress("vision", wanted_s, wanted_s))
                self._picture_warnings += faces.warnings
                return seen
            except FaceError as error:
                if self._request.needs_faces:
                    raise
                self._picture_warnings.append(f"faces were not looked at: {error}")
                return ()

    def _frames(self) -> Iterator[Frame]:
        """The one picture of an image, or those of a video; then what was wrong with it."""
        path, wanted = self._media.path, self._request
        if self._media.is_image:
            yield read_image(path)
            return
        with FrameReader(path, start_s=wanted.start_s, end_s=wanted.end_s) as reader:
            yield from reader
            self._picture_warnings += reader.warnings

    def _listen(self, pool: ThreadPoolExecutor) -> Heard:
        """Hear the sound: voice activity first, then words and voice side by side."""
        wanted = self._request
        nothing = Spool(np.float32)
        if not {"text", "audio"} & wanted.observed or not self._media.has_audio:
            if not self._media.has_audio and not self._media.is_image:
                self._sound_warnings.append("no sound: scored from the face alone")
            sought = "text" in wanted.observed
            given = self._given((), self._media.duration_s) if sought else None
            return Heard((), given, nothing, nothing, wanted.start_s, sought)
        with self.stages.stage("decode"):
            sound = read_sound(
                self._media.path,
                start_s=wanted.start_s,
                end_s=wanted.end_s,
                report=lambda seconds: self._report(Progress("decode", seconds, None)),
            )
            self._sound_warnings += sound.warnings
            speech = self._engines.voice_activity()(sound.recording)
        voice: Future[Spool] | None = None
        if "audio" in wanted.modalities:
            voice = pool.submit(self._describe_voice, sound, spoken=bool(speech))
        transcript, sought_words = self._words(sound, speech)
        return Heard(
            tuple(_later(span, sound.start_s) for span in speech),
            transcript,
            voice.result() if voice else nothing,
            sound.recording if "audio" in wanted.observed else nothing,
            sound.start_s,
            sought_words,
        )

    def _describe_voice(self, sound: Sound, *, spoken: bool) -> Spool:
        with self.stages.stage("audio"):
            with self.stages.waiting("audio"):
                voice = self._engines.voice()
                if spoken:
                    self._engines.voice_states()  # loaded while words are recognised, not after it
            frames = voice.frames(sound.recording)
            seconds = len(frames) / FRAMES_PER_SECOND
            self._report(Progress("audio", seconds, seconds))
        return frames

    def _words(self, sound: Sound, speech: Sequence[Span]) -> tuple[Transcript | None, bool]:
        """Return the words, and whether they were looked for; those not scored can be missed."""
        wanted = self._request
        if "text" not in wanted.observed:
            return None, False
        try:
            return self._transcribe(sound, speech), True
        except (SpeechError, WeightsError) as error:
            if "text" in wanted.modalities:
                raise
            fact = "words were not looked for: utterances are cut by pauses"
            self._sound_warnings.append(f"{fact} ({error})")
            return None, False

    def _transcribe(self, sound: Sound, speech: Sequence[Span]) -> Transcript | None:
        """Recognise the words, unless they were given."""
        if self._request.transcript is not None:
            spans = [_later(span, sound.start_s) for span in speech]
            return self._given(spans, sound.start_s + sound.seconds)
        if not speech:
            return None
        with self.stages.stage("transcribe"):
            with self.stages.waiting("transcribe"):
                recogniser = self._engines.recogniser()
            heard = recogniser.recognise(
                sound.recording,
                speech,
                language=self._request.language,
                translate=self._request.translate,
                readable=self._request.readable,
                report=self._report,
            )
        return _shifted(heard, sound.start_s)

    def _given(self, speech: Sequence[Span], end_s: float) -> Transcript | None:
        """The given transcript, in the language that was named, with times where it has none."""
        given, wanted = self._request.transcript, self._request
        if given is None:
            return None
        if wanted.language is not None:
            code = wanted.language.lower().replace("_", "-").split("-")[0]
            given = replace(given, language=Language(code, None))
        if given.times_estimated:
            end_s = end_s if wanted.end_s is None else min(end_s, wanted.end_s)
            given = given if wanted.whole else in_sentences(given)
            return spread(given, speech or [Span(wanted.start_s, end_s)], end_s)
        spoken_s, missed_s = sum(s.duration_s for s in speech), seconds_without_words(given, speech)
        if missed_s > max(_WITHOUT_WORDS_S, _WITHOUT_WORDS_SHARE * spoken_s):
            self._sound_warnings.append(
                f"the transcript has no words for {missed_s:.0f} s of {spoken_s:.0f} s of speech, "
                "so what is said there is not scored; check that it is the right file, and whole"
            )
        return given


def _later(span: Span, seconds: float) -> Span:
    return Span(span.start_s + seconds, span.end_s + seconds)


def _shifted(transcript: Transcript, seconds: float) -> Transcript:
    """Move the times of a transcript, from those of the samples to those of the file."""

    def move(span: WordOrPhrase) -> WordOrPhrase:
        return replace(span, start_s=span.start_s + seconds, end_s=span.end_s + seconds)

    phrases = tuple(
        replace(move(p), words=tuple(move(w) for w in p.words)) for p in transcript.phrases
    )
    return replace(transcript, phrases=phrases)
