"""From a file to what the network reads: planted engines, so that each number has one source."""

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dashfusion_models.engines import Engines
from dashfusion_models.errors import TranscriptError
from dashfusion_models.extract import Extraction, Request, _Extracted, extract
from dashfusion_models.features.audio import AUDIO_SPEC, MEASURED_SPEC, STATES
from dashfusion_models.features.vision import BLENDSHAPES
from dashfusion_models.records import (
    SAMPLE_RATE_HZ,
    Face,
    Frame,
    FrameFaces,
    Modality,
    Phrase,
    Samples,
    Span,
    Transcript,
)
from dashfusion_models.speech import voice_states
from dashfusion_models.speech.whisper_weights import WhisperTensors

SPEECH = (Span(1.0, 2.0), Span(4.0, 6.0))


class _States:
    """Remembers what it heard; its answer is how many times it was asked."""

    def __init__(self) -> None:
        self.heard: list[Samples] = []

    def __call__(self, samples: Samples) -> np.ndarray:
        self.heard.append(samples)
        return np.full(STATES, len(self.heard), np.float32)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Seven seconds of sound; sample i is told from all others by its place in a ramp."""
    path = tmp_path / "clip.wav"
    ramp = (np.arange(7 * SAMPLE_RATE_HZ) // 4 + 1000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(ramp.tobytes())
    return path


def _extract(
    clip: Path,
    states: _States,
    monkeypatch: pytest.MonkeyPatch,
    *,
    written: Sequence[Span] = SPEECH,
    speech: Sequence[Span] = SPEECH,
    **wanted: Any,
) -> Extraction:
    engines = Engines()
    monkeypatch.setattr(engines, "voice_activity", lambda: lambda samples: speech)
    monkeypatch.setattr(engines, "voice_states", lambda: states)
    phrases = tuple(Phrase(s.start_s, s.end_s, "words.", (), 1.0) for s in written)
    given = Transcript(phrases, None, None, None)
    return extract(clip, Request(transcript=given, **wanted), engines, lambda progress: None)


def _samples(start_s: float, end_s: float) -> np.ndarray:
    numbers = np.arange(round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ))
    return (numbers // 4 + 1000) / 32768


def test_each_utterance_has_the_state_of_its_own_samples(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = _States()
    found = tuple(_extract(clip, states, monkeypatch).extracted)
    assert len(found) == len(states.heard) == 2
    for number, (each, heard) in enumerate(zip(found, states.heard, strict=True), start=1):
        audio = each.features.audio
        assert audio is not None and audio.values.shape[1] == AUDIO_SPEC.dims
        assert (audio.values[audio.real, MEASURED_SPEC.dims :] == number).all()
        expected = _samples(each.utterance.start_s, each.utterance.end_s)
        np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_a_labelled_clip_is_heard_from_the_first_to_the_last_speech(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = _States()
    extraction = _extract(clip, states, monkeypatch, whole=True)
    assert len(tuple(extraction.extracted)) == 1
    np.testing.assert_allclose(states.heard[0], _samples(1.0, 6.0), atol=1e-6)
    assert "audio" in extraction.timing_s


def test_a_window_of_the_file_is_heard_in_the_time_of_the_file(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Speech times of the samples start with the window: 1 to 2 s there is 1.5 to 2.5 s here."""
    states = _States()
    tuple(_extract(clip, states, monkeypatch, whole=True, start_s=0.5, end_s=3.0).extracted)
    np.testing.assert_allclose(states.heard[0], _samples(1.5, 3.0), atol=1e-6)


def test_each_utterance_knows_what_was_said_before_it(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tuple(_extract(clip, _States(), monkeypatch).extracted)
    assert [e.features.text for e in found] == ["words.", "words."]
    assert [e.features.context for e in found] == [None, "words."]
    (whole,) = _extract(clip, _States(), monkeypatch, whole=True).extracted
    assert whole.features.context is None
    without = _extract(clip, _States(), monkeypatch, modalities=frozenset({"audio"})).extracted
    assert {e.features.context for e in without} == {None}


@pytest.mark.parametrize("modalities", [{"text"}, {"text", "vision"}])
def test_without_audio_no_states_are_made(
    clip: Path, monkeypatch: pytest.MonkeyPatch, modalities: set[Modality]
) -> None:
    states = _States()
    extraction = _extract(clip, states, monkeypatch, modalities=frozenset(modalities))
    assert all(e.features.audio is None for e in extraction.extracted)
    assert not states.heard and "audio" not in extraction.timing_s


def test_the_states_are_loaded_once_and_always_of_base(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def tensors(model: str, weights: object, *, parts: object) -> WhisperTensors:
        from whisper.model import AudioEncoder

        asked.append(model)
        state = AudioEncoder(80, 1500, 8, 2, 2).state_dict()
        dims = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 8, "n_audio_head": 2}
        return WhisperTensors(model, dims, {f"encoder.{k}": v for k, v in state.items()}, None)

    monkeypatch.setattr(voice_states, "openai_tensors", tensors)
    engines = Engines(asr_model="small")
    assert engines.voice_states() is engines.voice_states()
    assert asked == ["base"]


def test_speech_that_a_given_transcript_leaves_out_is_a_warning(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*written: Span, speech: Sequence[Span]) -> list[str]:
        states = _States()
        done = _extract(clip, states, monkeypatch, written=written, speech=speech)
        return [warning for warning in done.warnings if "transcript" in warning]

    (warning,) = found(Span(0.5, 2.0), speech=(Span(0.5, 2.0), Span(3.0, 7.2)))
    assert warning.startswith("the transcript has no words for 4 s of 6 s of speech, ")
    assert found(Span(0.5, 2.0), speech=(Span(0.5, 2.0), Span(3.0, 5.9))) == []  # a laugh
    assert found(Span(0.0, 16.0), speech=(Span(0.0, 16.0), Span(17.0, 20.5))) == []  # a fifth


class _SeenEverywhere:
    """A face engine that finds the same face in each picture."""

    warnings = ()

    def __init__(self) -> None:
        self._seen: list[FrameFaces] = []

    def start(self) -> None: ...

    def submit(self, frame: Frame) -> None:
        shapes = np.zeros(len(BLENDSHAPES), np.float32)
        face = Face(box=(0.1, 0.1, 0.5, 0.5), blendshapes=shapes, pose=np.zeros(6, np.float32))
        self._seen.append(FrameFaces(frame.seconds, (face,)))

    def finish(self) -> list[FrameFaces]:
        return self._seen


@pytest.mark.parametrize("apart_s", [2.0, 5000.0])
def test_a_picture_does_not_stand_for_hours(
    apart_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slides.mkv"
    with av.open(str(path), "w") as sink:
        video = sink.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        for number in range(5):
            grey = np.full((48, 64, 3), 128, dtype=np.uint8)
            picture = av.VideoFrame.from_ndarray(grey).reformat(format="yuv420p")
            picture.pts, picture.time_base = round(number * apart_s * 1000), Fraction(1, 1000)
            sink.mux(video.encode(picture))
        sink.mux(video.encode(None))
    engines = Engines()
    monkeypatch.setattr(engines, "faces", lambda *, video: _SeenEverywhere())
    extraction = extract(path, Request(), engines, lambda progress: None)
    assert len(list(extraction.extracted)) >= (1 if apart_s < 15.0 else 4)
    assert isinstance(extraction.extracted, _Extracted)
    looked_at_s = sum(one.duration_s for one in extraction.extracted.utterances)
    assert looked_at_s == pytest.approx(4 * min(apart_s, 15.0), abs=0.1)


def test_more_words_than_anybody_can_say_are_refused(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a thousand lines would be an utterance to score."""
    lines = [Span(k * 7 / 1000, (k + 1) * 7 / 1000) for k in range(1000)]
    with pytest.raises(TranscriptError, match=r"lasts 7.0 s, and its transcript has 6000 char"):
        _extract(clip, _States(), monkeypatch, written=lines)
    assert list(_extract(clip, _States(), monkeypatch, written=lines[::10]).extracted)
