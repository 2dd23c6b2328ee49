"""Speech is found where it was put, and nowhere else."""

import hashlib
import importlib.util
import itertools
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.records import SAMPLE_RATE_HZ, Samples, Span
from dashfusion_models.speech import voice_activity
from dashfusion_models.speech.voice_activity import (
    WINDOW_SAMPLES,
    VoiceActivity,
    speech_probabilities,
)

DEMO = Path(__file__).parents[3] / "assets" / "demo.mp4"
SECONDS = np.arange(12 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def find_speech() -> VoiceActivity:
    return VoiceActivity()


@pytest.fixture(scope="module")
def speech() -> Samples:
    if not DEMO.is_file():
        pytest.skip("assets/demo.mp4 is not there")
    from dashfusion_models.media import read_sound

    return read_sound(DEMO).samples


def _chords() -> np.ndarray:
    """Four plucked chords with overtones, twice: music without a voice."""
    seconds = SECONDS[: 3 * SAMPLE_RATE_HZ // 2]
    progression = ((262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294))
    chords = [
        sum(np.sin(2 * np.pi * hz * k * seconds) / k for hz in chord for k in (1, 2, 3))
        * np.exp(-1.2 * seconds)
        for chord in progression
    ]
    return np.concatenate(chords * 2) / 6


SOUNDS = {
    "silence": np.zeros(len(SECONDS)),
    "tone": 0.5 * np.sin(2 * np.pi * 440 * SECONDS),
    "noise": 0.1 * np.random.default_rng(0).standard_normal(len(SECONDS)),
    "music": _chords(),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_silence_tones_noise_and_music_are_not_speech(
    name: str, find_speech: VoiceActivity
) -> None:
    samples = SOUNDS[name].astype(np.float32)
    assert find_speech(samples) == ()
    assert find_speech.probabilities(samples).max() < 0.5


def test_speech_is_found_where_it_was_put(speech: Samples, find_speech: VoiceActivity) -> None:
    lead_s, tail_s = 3.0, 4.0
    before = np.zeros(int(lead_s * SAMPLE_RATE_HZ), np.float32)
    after = np.zeros(int(tail_s * SAMPLE_RATE_HZ), np.float32)
    spans = find_speech(np.concatenate([before, speech, after]))
    end_s = lead_s + len(speech) / SAMPLE_RATE_HZ
    assert lead_s - 0.3 <= spans[0].start_s < lead_s + 1.0
    assert end_s - 2.5 < spans[-1].end_s <= end_s + 0.3
    assert sum(span.duration_s for span in spans) > 0.75 * (end_s - lead_s)
    for one, two in itertools.pairwise(spans):
        assert one.end_s <= two.start_s


def test_the_reference_finds_the_same_probabilities(
    speech: Samples, find_speech: VoiceActivity
) -> None:
    if importlib.util.find_spec("faster_whisper") is None:
        pytest.skip("faster-whisper is not installed")
    from faster_whisper.vad import get_vad_model

    whole = np.pad(speech, (0, -len(speech) % WINDOW_SAMPLES))
    np.testing.assert_allclose(
        find_speech.probabilities(speech), get_vad_model()(whole.copy()), atol=1e-5
    )


def test_blocks_make_no_difference(
    speech: Samples, find_speech: VoiceActivity, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = find_speech.probabilities(speech)
    monkeypatch.setattr(voice_activity, "_BLOCK_WINDOWS", 7)
    np.testing.assert_allclose(find_speech.probabilities(speech), once, atol=1e-5)


def test_one_probability_per_window() -> None:
    assert speech_probabilities(np.zeros(0, np.float32)).shape == (0,)
    assert speech_probabilities(np.zeros(513, np.float32)).shape == (2,)


def test_no_samples_no_speech(find_speech: VoiceActivity) -> None:
    assert find_speech(np.zeros(0, np.float32)) == ()


def test_a_broken_sample_does_not_deafen_the_detector(
    speech: Samples, find_speech: VoiceActivity
) -> None:
    broken = speech.copy()
    broken[100] = np.nan
    broken[200] = np.inf
    assert np.isfinite(find_speech.probabilities(broken)).all()
    assert find_speech(broken)


def _rounded(spans: tuple[Span, ...]) -> list[tuple[float, float]]:
    return [(round(span.start_s, 3), round(span.end_s, 3)) for span in spans]


def _levels(*runs: tuple[int, float]) -> np.ndarray:
    return np.concatenate([np.full(count, level, np.float32) for count, level in runs])


def test_hysteresis_holds_speech_until_it_is_clearly_over() -> None:
    # 32 ms a window: up at window 50 (1.6 s), between the limits from 70, down at 90 (2.88 s).
    found = voice_activity._spans(_levels((50, 0.1), (20, 0.9), (20, 0.4), (50, 0.1)), 4.48)
    assert _rounded(found) == [(1.4, 3.08)]


def test_levels_between_the_limits_never_begin_speech() -> None:
    assert voice_activity._spans(_levels((100, 0.45)), 3.2) == ()


def test_clicks_are_dropped_and_short_pauses_closed() -> None:
    click = voice_activity._spans(_levels((50, 0.0), (6, 0.9), (50, 0.0)), 3.392)
    assert click == ()
    # A pause of 8 windows (0.256 s) inside, from 1.6 s to 3.136 s.
    pause = _levels((50, 0.0), (20, 0.9), (8, 0.0), (20, 0.9), (50, 0.0))
    assert _rounded(voice_activity._spans(pause, 4.736)) == [(1.4, 3.336)]


def test_padding_stays_inside_the_file_and_shares_a_pause() -> None:
    # Speech 0-0.64 s, a pause of 0.32 s, speech 0.96-1.6 s, which is the end.
    found = voice_activity._spans(_levels((20, 0.9), (10, 0.0), (20, 0.9)), 1.6)
    assert _rounded(found) == [(0.0, 0.8), (0.8, 1.6)]


def test_the_model_is_the_one_that_the_notice_names() -> None:
    folder = files("dashfusion_models") / "vendor" / "silero_vad"
    digest = hashlib.sha256((folder / "silero_vad_v6.onnx").read_bytes()).hexdigest()
    assert digest in (folder / "NOTICE").read_text(encoding="utf-8")
    assert "Silero Team" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_hours_of_digital_silence_are_not_listened_to(
    find_speech: VoiceActivity, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = voice_activity._BLOCK_WINDOWS * WINDOW_SAMPLES
    samples = np.concatenate([speech, np.zeros(16 * block, np.float32), speech])
    session = find_speech._session
    runs: list[int] = []

    class Counting:
        def run(self, names: None, fed: dict[str, np.ndarray]) -> list[np.ndarray]:
            runs.append(len(fed["input"]))
            outcome: list[np.ndarray] = session.run(names, fed)
            return outcome

    monkeypatch.setattr(find_speech, "_session", Counting())
    found = find_speech.probabilities(samples)
    assert len(runs) <= 1 + 10 + 2
    h = c = np.zeros((1, 1, 128), np.float32)
    listened = []
    for windows in voice_activity._blocks(samples):
        out, h, c = session.run(None, {"input": windows, "h": h, "c": c})
        listened.append(out)
    expected = np.concatenate(listened)
    silent = slice(-(-len(speech) // WINDOW_SAMPLES) + 1, -len(speech) // WINDOW_SAMPLES)
    np.testing.assert_allclose(found[silent], expected[silent], atol=1e-4)
    length_s = len(samples) / SAMPLE_RATE_HZ
    same = [voice_activity._spans(each, length_s) for each in (found, expected)]
    assert len(same[0]) == len(same[1])
    for one, other in zip(*same, strict=True):
        assert (one.start_s, one.end_s) == pytest.approx((other.start_s, other.end_s), abs=0.1)
