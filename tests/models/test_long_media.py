"""Hours of media: what lies on disk gives the same, memory does not grow, a broken end costs only
itself."""

import importlib.util
import tracemalloc
import wave
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashfusion_models import Analyzer, spool
from dashfusion_models import extract as extract_module
from dashfusion_models import score as score_module
from dashfusion_models.engines import Engines
from dashfusion_models.extract import Extracted, Request, extract
from dashfusion_models.features import audio as audio_module
from dashfusion_models.features.audio import ENERGY, FRAME_DIMS, HOP_SAMPLES, AudioExtractor
from dashfusion_models.media import read_sound
from dashfusion_models.records import SAMPLE_RATE_HZ, Samples, Span, Streams, Transcript, Word
from dashfusion_models.score import Scored
from dashfusion_models.speech.recogniser import WhisperRecogniser
from dashfusion_models.speech.voice_activity import VoiceActivity
from dashfusion_models.speech.windows import Heard, cut_windows

DEMO = Path(__file__).parents[2] / "assets" / "demo.mp4"
STATES = 512


class _Planted:
    """A decoder that hears a word in every second, and the loudness of what it was given."""

    device = "cpu"
    languages = frozenset({"en"})
    multilingual = False

    def language_probabilities(self, samples: Samples) -> Mapping[str, float]:
        return {"en": 1.0}

    def decode(self, samples: Samples, *, language: str, translate: bool) -> list[Heard]:
        seconds = len(samples) // SAMPLE_RATE_HZ
        loud = [np.abs(s).mean() for s in np.array_split(samples, max(1, seconds))]
        words = tuple(
            Word(i + 0.1, i + 0.9, f" {'again.' if i % 8 == 7 else 'word'}", float(loud[i]))
            for i in range(seconds)
        )
        return [Heard(0.0, float(seconds), words, -0.3, 0.1, 1.2)] if words else []


def planted_engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    """Engines without weights: the words are planted, the state is made of the samples."""
    engines = Engines()
    recogniser = WhisperRecogniser("planted", "base", "cpu", _Planted())
    monkeypatch.setattr(engines, "recogniser", lambda **_: recogniser)
    monkeypatch.setattr(
        engines, "voice_states", lambda: lambda s: np.full(STATES, np.abs(s).mean(), np.float32)
    )
    return engines


def sound_file(path: Path, blocks: Iterator[np.ndarray]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        for block in blocks:
            file.writeframes((block * 32767).astype("<i2").tobytes())
    return path


def syllables(seconds: float) -> Iterator[np.ndarray]:
    """Speech-like sound, a second at a time: a voice of changing pitch that opens and shuts."""
    times = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    gate = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * times)
    for i in range(round(seconds)):
        hz = 110 + 10 * (i % 9)
        voice = sum(np.sin(2 * np.pi * k * hz * times) / k for k in range(1, 8))
        yield (0.2 if i % 10 < 8 else 0.0) * gate * voice / 2


def extracted_of(path: Path, engines: Engines) -> tuple[Transcript | None, list[Extracted]]:
    request = Request(modalities=frozenset({"text", "audio"}))
    found = extract(path, request, engines, lambda progress: None)
    return found.transcript, list(found.extracted)


@pytest.mark.parametrize("kind", ["demo", "planted"])
def test_what_lies_on_disk_gives_the_same(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = DEMO if kind == "demo" else sound_file(tmp_path / "a.wav", syllables(45.0))
    if not path.is_file():
        pytest.skip("assets/demo.mp4 is not there")
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1 << 30)
    whole = read_sound(path)
    in_memory = extracted_of(path, planted_engines(monkeypatch))
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1)
    on_disk = read_sound(path)
    np.testing.assert_array_equal(on_disk.samples, whole.samples)

    speech = VoiceActivity()(whole.samples)
    assert VoiceActivity()(on_disk.recording) == speech
    assert cut_windows(on_disk.recording, speech) == cut_windows(whole.samples, speech)
    frames = AudioExtractor().frames(whole.samples)
    np.testing.assert_allclose(AudioExtractor().frames(on_disk.recording)[:], frames[:], atol=1e-5)

    found = extracted_of(path, planted_engines(monkeypatch))
    assert found[0] == in_memory[0]
    assert len(found[1]) == len(in_memory[1]) > (0 if kind == "planted" else 2)
    for one, other in zip(found[1], in_memory[1], strict=True):
        assert (one.utterance, one.present) == (other.utterance, other.present)
        assert one.features.context == other.features.context
        assert one.features.audio is not None and other.features.audio is not None
        np.testing.assert_array_equal(one.features.audio.values, other.features.audio.values)


def spoken(samples: spool.Recording) -> tuple[Span, ...]:
    """Where `syllables` speak."""
    return tuple(Span(float(at), at + 8.0) for at in range(0, len(samples) // SAMPLE_RATE_HZ, 10))


def described(samples: Samples) -> np.ndarray:
    """Stands in for what takes long to compute: the loudness of each frame and a pitch."""
    power = np.square(samples).reshape(-1, HOP_SAMPLES).mean(axis=1)
    rows = np.full((len(power), FRAME_DIMS), 5.0, np.float32)
    rows[:, ENERGY] = 10 * np.log10(power + 1e-9)
    return rows


def scored(checkpoint: object, features: Any, *, device: object) -> list[Scored]:
    return [Scored(0.5, Streams(text=0.1, audio=0.1, vision=None)) for _ in features]


def peak_bytes(path: Path, analyzer: Analyzer) -> int:
    """The most memory that Python and NumPy held at once during an analysis."""
    tracemalloc.start()
    try:
        analysis = analyzer.analyze(path)
        assert len(analysis.segments) >= analysis.media.duration_s / 15
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs a detector")
def test_memory_does_not_grow_with_the_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the samples alone there are 58 MB more in 20 minutes than in 5; of features, 50 MB."""
    monkeypatch.setattr(audio_module, "_describe", described)
    monkeypatch.setattr(score_module, "score", scored)
    loaded = Analyzer.load(device="cpu", offline=True)
    engines = planted_engines(monkeypatch)
    detector = VoiceActivity()

    def speech(samples: spool.Recording) -> tuple[Span, ...]:
        detector(samples)  # for what it needs; whether it takes the sound for a voice or not
        return spoken(samples)

    monkeypatch.setattr(engines, "voice_activity", lambda: speech)
    monkeypatch.setattr(loaded, "_engines", engines)
    short = sound_file(tmp_path / "short.wav", syllables(300.0))
    long = sound_file(tmp_path / "long.wav", syllables(1200.0))
    first = sound_file(tmp_path / "first.wav", syllables(30.0))
    peak_bytes(first, loaded)  # what is loaded at the first use counts for neither
    growth = peak_bytes(long, loaded) - peak_bytes(short, loaded)
    assert growth < 3 << 20


def test_freed_memory_goes_back_with_every_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C library's holes are not to be seen from here: 32 utterances left 150 MB of them."""
    monkeypatch.setattr(audio_module, "_describe", described)
    engines = planted_engines(monkeypatch)
    events: list[str] = []

    def state(samples: Samples) -> np.ndarray:
        events.append("cut")
        return np.zeros(STATES, np.float32)

    monkeypatch.setattr(engines, "voice_activity", lambda: spoken)
    monkeypatch.setattr(engines, "voice_states", lambda: state)
    monkeypatch.setattr(extract_module, "give_back", lambda: events.append("back"))
    path = sound_file(tmp_path / "long.wav", syllables(120.0))
    extracted_of(path, engines)
    between = [len(list(group)) for event, group in groupby(events) if event == "cut"]
    assert sum(between) > 2 * score_module.BATCH
    assert max(between) <= score_module.BATCH
