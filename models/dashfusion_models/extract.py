"""The one road from a file to utterances with their three sequences.

`analyze`, `batch`, `extract`, `train` and `eval` all come along here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from dashfusion_models.engines import Engines
from dashfusion_models.features.audio import with_states
from dashfusion_models.features.tracks import Tracks, choose
from dashfusion_models.features.vision import sequence
from dashfusion_models.freed import give_back
from dashfusion_models.media import probe
from dashfusion_models.observe import Heard, Observation, Report, Request
from dashfusion_models.records import (
    FaceChoice,
    Features,
    FeatureSequence,
    MediaInfo,
    Span,
    Streams,
    Transcript,
    Utterance,
)
from dashfusion_models.said import said_before
from dashfusion_models.segment import SegmentRule, silent_stretches, utterances
from dashfusion_models.segment.spans import equal

__all__ = ["Extracted", "Extraction", "Request", "extract"]

LEAST_SPEECH_S = 0.1  # less speech inside an utterance is no voice
LEAST_FACE_SHARE = 0.1  # of an utterance's pictures; less is no face
FRAME_S = 0.1  # pictures are a tenth of a second apart
SEEN_GAP_S = 0.5  # a face unseen for less is still there
LONGEST_S = 15.0
STANDS_S = 15.0  # that a picture stands at most: where they are further apart, nothing is known
GIVE_BACK_EACH = 4  # utterances; after 32, two hours of video had taken 150 MB more


@dataclass(frozen=True)
class Extracted:
    """One utterance with what the network reads of it: nothing, where all that it has is left out.

    `spoken`: somebody speaks in it, whether that is scored or not.
    """

    utterance: Utterance
    features: Features
    present: Streams[float]
    face: FaceChoice | None
    spoken: bool = True


@dataclass(frozen=True)
class Extraction:
    """All utterances of a file in order of time.

    Their sequences are many times as large as the words: `extracted` makes those of an utterance
    when its turn comes, anew each time it is gone through, and `timing_s` grows with it.
    """

    media: MediaInfo
    transcript: Transcript | None
    extracted: Iterable[Extracted]
    warnings: tuple[str, ...]
    timing_s: dict[str, float]
    waiting_s: dict[str, float]


@dataclass(frozen=True)
class _Observed:
    """All that is known of a file before it is cut; `stage` adds up what cutting it takes."""

    heard: Heard
    tracks: Tracks
    stage: Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class _Extracted:
    """Utterances whose sequences are cut while they are gone through.

    Those with nothing fall; those with nothing but what is left out stay, so that rows are the same
    whatever is left out.
    """

    utterances: Sequence[Utterance]
    observed: _Observed
    request: Request
    engines: Engines

    def __iter__(self) -> Iterator[Extracted]:
        """Cut one after another, and tell each what was said before it in the file."""
        reads = "text" in self.request.modalities
        said = said_before(u.text if reads else None for u in self.utterances)
        for i, (utterance, context) in enumerate(zip(self.utterances, said, strict=True)):
            if i % GIVE_BACK_EACH == 0:
                give_back()
            one = _cut(utterance, self.observed, self.request, self.engines)
            if one is not None:
                yield replace(one, features=replace(one.features, context=context))


def extract(path: Path, request: Request, engines: Engines, report: Report) -> Extraction:
    """Run a file through all stages up to the network.

    Nothing is extracted where there is neither speech nor a face.

    Raises:
        MediaError: the file cannot be read.
        SpeechError: the speech engine failed.
        WeightsError: weights that are needed are missing.
        DiskError: there is no room for temporary files.
    """
    media = probe(path)
    engines.tell(report)
    observation = Observation(media, request, engines, report)
    heard, frames = observation.run()
    observed = _Observed(heard, Tracks(frames), observation.stages.stage)
    end_s = max(media.duration_s, frames[-1].seconds if frames else 0.0)
    window = Span(request.start_s, end_s if request.end_s is None else min(request.end_s, end_s))
    found = _utterances(observed, request, media, window)
    return Extraction(
        media=media,
        transcript=heard.transcript,
        extracted=_Extracted(found, observed, request, engines),
        warnings=observation.warnings,
        timing_s=observation.stages.spent_s,
        waiting_s=observation.stages.waited_s,
    )


def _utterances(
    observed: _Observed, request: Request, media: MediaInfo, window: Span
) -> list[Utterance]:
    """Cut what is scored: utterances of speech, and silent stretches in which a face is seen."""
    heard = observed.heard
    if request.whole:
        return [_whole(heard, window)]
    if media.is_image:
        return [Utterance(0.0, 0.0, None, (), None)] if observed.tracks.shown.any() else []
    spoken: tuple[Utterance, ...] = ()
    if not heard.sought_words:
        spoken = _wordless(heard.speech, request.rule, window)
    elif heard.transcript is not None:
        spoken = utterances(
            heard.transcript, rule=request.rule, start_s=window.start_s, duration_s=window.end_s
        )
    silent = silent_stretches(
        spoken, _seen(observed), start_s=window.start_s, duration_s=window.end_s
    )
    return sorted((*spoken, *silent), key=lambda u: (u.start_s, u.end_s))


def _wordless(speech: Sequence[Span], rule: SegmentRule, window: Span) -> tuple[Utterance, ...]:
    """Speech whose words are not looked for.

    By sentences: cut where nobody speaks, at most 15 s long. Else the windows of the rule in which
    somebody speaks.
    """
    if rule.mode == "sentence":
        pieces = [piece for span in speech for piece in equal(span, LONGEST_S)]
    else:
        seconds = rule.seconds if rule.seconds is not None else window.duration_s
        count = max(1, math.ceil(window.duration_s / seconds - 1e-6))
        edges = [window.start_s + i * seconds for i in range(count)] + [window.end_s]
        windows = [Span(a, b) for a, b in pairwise(edges)]
        pieces = [w for w in windows if any(w.overlap_s(span) > 0 for span in speech)]
    return tuple(Utterance(p.start_s, p.end_s, None, (), None) for p in pieces)


def _whole(heard: Heard, window: Span) -> Utterance:
    """One utterance over all the speech, or over the whole file where nobody speaks."""
    phrases = heard.transcript.phrases if heard.transcript else ()
    return Utterance(
        start_s=min((s.start_s for s in heard.speech), default=window.start_s),
        end_s=max((s.end_s for s in heard.speech), default=window.end_s),
        text=" ".join(p.text for p in phrases if p.text).strip() or None,
        words=tuple(word for p in phrases for word in p.words),
        confidence=float(np.mean([p.confidence for p in phrases])) if phrases else None,
    )


def _cut(
    utterance: Utterance, observed: _Observed, request: Request, engines: Engines
) -> Extracted | None:
    """Cut the three sequences of one utterance out of what was heard and seen; None without any."""
    heard = observed.heard
    speech_s = sum(utterance.overlap_s(span) for span in heard.speech)
    # A stretch between two utterances of speech is scored from the face: what little speech reaches
    # into it belongs to its neighbours.
    silent = utterance.text is None and heard.sought_words and not request.whole
    voiced = not silent and speech_s >= LEAST_SPEECH_S
    audio = None
    if voiced and len(heard.voice):
        audio = _voice(utterance, observed, engines)
    spoken = utterance.text is not None or audio is not None
    if "audio" in request.left_out:
        spoken = spoken or voiced
    vision, face = _face(utterance, observed)
    if not spoken and vision is None:
        return None
    if "vision" not in request.modalities:
        vision, face = None, None
    text = utterance.text if "text" in request.modalities else None
    return Extracted(
        utterance=utterance,
        features=Features(text=text, audio=audio, vision=vision),
        present=Streams(
            text=_worded_share(utterance) if text else 0.0,
            audio=min(1.0, speech_s / utterance.duration_s) if audio is not None else 0.0,
            vision=vision.share if vision is not None else 0.0,
        ),
        face=face,
        spoken=spoken,
    )


def _face(
    utterance: Utterance, observed: _Observed
) -> tuple[FeatureSequence | None, FaceChoice | None]:
    """Cut the sequence of the face that stands for the utterance; None where it is hardly seen."""
    heard = observed.heard
    look = utterance if utterance.duration_s > 0 else _moment(utterance.start_s)
    frames, tracks = observed.tracks.within(look)
    chosen = choose(tracks, look, sound_energy=heard.loudness(look)) if tracks else None
    if chosen is None:
        return None, None
    shown = dict(chosen[0].faces)
    seen = sequence([(f.seconds, shown.get(f.seconds)) for f in frames], look)
    return (seen, chosen[1]) if seen.share >= LEAST_FACE_SHARE else (None, None)


def _voice(utterance: Utterance, observed: _Observed, engines: Engines) -> FeatureSequence | None:
    """Cut the sequence of the voice, with the state of the utterance's own samples at each step."""
    heard = observed.heard
    measured = engines.audio.cut(heard.voice, utterance, file_start_s=heard.start_s)
    if not measured.real.any():
        return None
    with observed.stage("audio"):
        return with_states(measured, engines.voice_states()(heard.cut(utterance)))


def _moment(seconds: float) -> Span:
    """The time that one picture stands for."""
    return Span(seconds, seconds + FRAME_S)


def _worded_share(utterance: Utterance) -> float:
    """Share of an utterance that its words cover; all of it where the words have no times."""
    if not utterance.words or utterance.duration_s <= 0:
        return 1.0
    return min(1.0, sum(word.duration_s for word in utterance.words) / utterance.duration_s)


def _seen(observed: _Observed) -> list[Span]:
    """Where any face is seen, in order of time.

    A picture stands until the next one is due, for `STANDS_S` at most.
    """
    times = observed.tracks.times
    apart_s = float(np.median(np.diff(times))) if len(times) > 1 else FRAME_S
    stands_s = min(max(FRAME_S, apart_s), STANDS_S)
    shown = times[observed.tracks.shown]
    parts = np.split(shown, np.flatnonzero(shown[1:] - (shown[:-1] + stands_s) > SEEN_GAP_S) + 1)
    return [Span(float(p[0]), float(p[-1]) + stands_s) for p in parts if len(p)]
