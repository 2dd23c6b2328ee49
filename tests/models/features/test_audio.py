"""Voice features against planted tones; real speech where it is at hand."""

from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.errors import DataError
from dashfusion_models.features import audio as audio_module
from dashfusion_models.features.audio import (
    AUDIO_SPEC,
    ENERGY,
    FRAME_DIMS,
    FRAMES_PER_SECOND,
    LOG_F0,
    MEASURED_SPEC,
    STATES,
    AudioExtractor,
    loudness,
    voiced_share,
    with_movement,
    with_states,
)
from dashfusion_models.features.contract import MAX_STEPS, checked
from dashfusion_models.records import SAMPLE_RATE_HZ, FeatureSequence, Span
from tests.models.blas_threads import printed_with

CHROMA_1 = MEASURED_SPEC.names.index("chroma_1")
RELATIVE = MEASURED_SPEC.names.index("relative_log_f0")
RAVDESS = Path(__file__).parents[4] / "shared" / "data" / "ravdess"


def voice(hz: float, seconds: float, amplitude: float = 0.3) -> np.ndarray:
    """A tone with overtones: what a singing voice is to a pitch tracker."""
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    waves = sum(np.sin(2 * np.pi * k * hz * times) / k for k in (1, 2, 3, 4))
    return (amplitude * waves / 2).astype(np.float32)


def melody(factor: float = 1.0, amplitude: float = 0.3) -> np.ndarray:
    parts = [voice(factor * hz, 0.4, amplitude) for hz in (110.0, 139.0, 165.0, 123.0)]
    return np.concatenate([*parts, np.zeros(4000, np.float32)])


def sequence(samples: np.ndarray) -> FeatureSequence:
    extractor = AudioExtractor()
    span = Span(0.0, len(samples) / SAMPLE_RATE_HZ)
    return checked(extractor.cut(extractor.frames(samples), span), MEASURED_SPEC)


def test_the_spec_names_36_features_their_movement_and_the_states() -> None:
    assert MEASURED_SPEC.dims == len(set(MEASURED_SPEC.names)) == FRAME_DIMS + 2 * 22
    assert MEASURED_SPEC.names[:4] == ("log_f0", "voicing", "energy", "mfcc_1")
    assert MEASURED_SPEC.names[FRAME_DIMS - 1] == "relative_log_f0"
    assert AUDIO_SPEC.version == MEASURED_SPEC.version == 3
    assert AUDIO_SPEC.names[: MEASURED_SPEC.dims] == MEASURED_SPEC.names
    assert AUDIO_SPEC.names[MEASURED_SPEC.dims] == "state_1"
    assert AUDIO_SPEC.names[-1] == "state_512"
    assert AUDIO_SPEC.dims == len(set(AUDIO_SPEC.names)) == MEASURED_SPEC.dims + STATES


@pytest.mark.parametrize("hz", [80.0, 110.0, 220.0, 440.0])
def test_pitch_of_a_tone_is_its_frequency(hz: float) -> None:
    found = sequence(voice(hz, 1.0))
    voiced = found.values[:, LOG_F0] > 0
    assert voiced_share(found) == voiced.mean() > 0.9
    assert np.exp(np.median(found.values[voiced, LOG_F0])) == pytest.approx(hz, rel=0.015)


@pytest.mark.parametrize(("hz", "place"), [(130.81, 0), (164.81, 4), (220.0, 9)])
def test_chroma_of_a_note_is_its_pitch_class(hz: float, place: int) -> None:
    times = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    found = sequence((0.3 * np.sin(2 * np.pi * hz * times)).astype(np.float32))
    chroma = found.values[3:-3, CHROMA_1 : CHROMA_1 + 12]
    assert (chroma.argmax(axis=1) == place).all()
    assert chroma[:, place] == pytest.approx(1.0, abs=0.01)


def test_noise_has_no_voice_and_silence_is_not_real() -> None:
    noise = np.random.default_rng(7).normal(0, 0.1, 2 * SAMPLE_RATE_HZ).astype(np.float32)
    heard = sequence(noise)
    assert voiced_share(heard) < 0.1
    assert heard.real.all()
    silence = sequence(np.zeros(SAMPLE_RATE_HZ, np.float32))
    assert silence.values.shape == (25, MEASURED_SPEC.dims)
    assert not silence.real.any()
    assert not silence.values.any()


def test_silence_inside_an_utterance_is_not_real() -> None:
    found = sequence(np.concatenate([voice(150, 1.0), np.zeros(SAMPLE_RATE_HZ, np.float32)]))
    assert found.real[:25].all()
    assert not found.real[26:].any()


def test_a_step_is_40_ms_and_a_long_utterance_is_coarser() -> None:
    extractor = AudioExtractor()
    frames = extractor.frames(voice(150, 1.0))[:]
    assert len(frames) == FRAMES_PER_SECOND
    assert len(extractor.cut(frames, Span(0.2, 0.6)).real) == 10
    assert len(extractor.cut(frames, Span(10.2, 10.6), file_start_s=10.0).real) == 10
    minute = np.tile(frames, (60, 1))
    coarse = extractor.cut(minute, Span(0.0, 60.0))
    assert len(coarse.real) == MAX_STEPS
    assert voiced_share(coarse) > 0.9


@pytest.mark.parametrize("samples", [1, 100, 300, 800])
def test_very_short_sound_has_a_step(samples: int) -> None:
    found = sequence(voice(150, 1.0)[20 : 20 + samples])
    assert found.values.shape[0] in (1, 2)
    assert found.real.all()


def test_nothing_has_no_steps() -> None:
    extractor = AudioExtractor()
    frames = extractor.frames(np.zeros(0, np.float32))[:]
    assert frames.shape == (0, FRAME_DIMS)
    assert extractor.cut(frames, Span(0.0, 1.0)).values.shape == (0, MEASURED_SPEC.dims)
    frames = extractor.frames(voice(150, 0.5))
    assert extractor.cut(frames, Span(3.0, 4.0)).values.shape == (0, MEASURED_SPEC.dims)
    assert extractor.cut(frames, Span(0.2, 0.2)).values.shape == (0, MEASURED_SPEC.dims)
    assert extractor.cut(frames, Span(0.0, 0.1), file_start_s=5.0).values.shape == (
        0,
        MEASURED_SPEC.dims,
    )


def test_numbers_that_are_none_do_not_spread() -> None:
    broken = voice(150, 1.0)
    broken[5000:5100] = np.nan
    broken[6000] = np.inf
    assert np.isfinite(sequence(broken).values).all()


def test_gain_tells_nothing() -> None:
    sung = melody()
    room = np.random.default_rng(3).normal(0, 0.01, len(sung)).astype(np.float32)
    loud, quiet = sequence(2 * (sung + room)), sequence(0.1 * (sung + room))
    assert loud.real.all() and quiet.real.all()
    np.testing.assert_allclose(loud.values, quiet.values, atol=0.05)


def rows_of_mfcc(samples: np.ndarray) -> np.ndarray:
    found = sequence(samples)
    assert found.real.all()
    mfcc = [i for i, name in enumerate(MEASURED_SPEC.names) if "mfcc" in name]
    assert len(mfcc) == 60
    return found.values[:, mfcc]


@pytest.mark.parametrize("decibels", [-20.0, -40.0])
def test_mfccs_of_a_quiet_recording_do_not_move_with_gain(decibels: float) -> None:
    """A dull voice in a hum: its high bands are 90 dB quieter than its low ones."""
    sung = melody(amplitude=0.03)[:-4000]  # the silence at its end would sink below all sound
    noise = np.random.default_rng(4).normal(0, 1, len(sung))
    dull = np.cumsum(noise - noise.mean())  # falls by 6 dB an octave
    quiet = (sung + 2e-3 * dull / dull.std() + 1e-6 * noise).astype(np.float32)
    expected = rows_of_mfcc(quiet)
    assert 10 < expected.std(axis=0).max() < 300
    found = rows_of_mfcc((10 ** (decibels / 20) * quiet).astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_relative_pitch_tells_the_melody_and_not_the_speaker() -> None:
    low, high = sequence(melody()), sequence(melody(factor=2 ** (7 / 12)))
    both = (low.values[:, LOG_F0] > 0) & (high.values[:, LOG_F0] > 0)
    both &= np.abs(np.gradient(low.values[:, RELATIVE])) < 0.03  # away from the change of notes
    both &= np.abs(np.gradient(high.values[:, RELATIVE])) < 0.03
    assert both.sum() > 20
    differ = high.values[both, LOG_F0] - low.values[both, LOG_F0]
    assert np.median(differ) == pytest.approx(7 / 12 * np.log(2), abs=0.02)
    np.testing.assert_allclose(high.values[both, RELATIVE], low.values[both, RELATIVE], atol=0.03)
    assert np.median(low.values[low.values[:, LOG_F0] > 0, RELATIVE]) == pytest.approx(0, abs=0.05)


def test_pitch_is_averaged_over_voiced_frames_only() -> None:
    extractor = AudioExtractor()
    frames = np.zeros((40, 36), np.float32)
    frames[:, ENERGY] = -20.0
    frames[::2, LOG_F0] = 5.0
    found = extractor.cut(frames, Span(0.0, 0.4))
    assert found.values[:, LOG_F0] == pytest.approx(5.0)
    assert not found.values[:, RELATIVE].any()


def test_too_few_voiced_frames_have_no_relative_pitch() -> None:
    extractor = AudioExtractor()
    frames = np.zeros((40, 36), np.float32)
    frames[:, ENERGY] = -20.0
    frames[:19, LOG_F0] = np.linspace(4.5, 5.5, 19)
    assert not extractor.cut(frames, Span(0.0, 0.4)).values[:, RELATIVE].any()
    frames[19, LOG_F0] = 5.0
    assert extractor.cut(frames, Span(0.0, 0.4)).values[:, RELATIVE].any()


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.concatenate([melody(), melody(1.3)])
    whole = AudioExtractor().frames(samples)[:]
    monkeypatch.setattr(audio_module, "BLOCK_FRAMES", 100)
    blocks = AudioExtractor().frames(samples)[:]
    assert blocks.shape == whole.shape
    np.testing.assert_allclose(blocks[:, 1:], whole[:, 1:], atol=0.02)
    same = np.abs(blocks[:, LOG_F0] - whole[:, LOG_F0]) < 0.01
    assert same.mean() > 0.99


@pytest.mark.skipif(not RAVDESS.is_dir(), reason="the recordings are not here")
def test_real_speech_is_voiced_and_strong_anger_is_higher() -> None:
    import soundfile

    medians = {}
    for emotion in ("01-01", "05-02"):
        path = RAVDESS / f"03-01-{emotion}-01-01-12.ogg"
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == SAMPLE_RATE_HZ
        found = sequence(samples)
        assert 0.15 < voiced_share(found) < 0.8
        medians[emotion] = np.median(found.values[found.values[:, LOG_F0] > 0, LOG_F0])
    assert medians["05-02"] > medians["01-01"]


def test_movement_is_measured_from_the_mean_and_from_the_step_before() -> None:
    """Energy of five steps, one of them unobserved: mean of the others 3, by hand."""
    values = np.zeros((5, FRAME_DIMS), np.float32)
    values[:, ENERGY] = [1.0, 3.0, 0.0, 6.0, 2.0]
    real = np.array([True, True, False, True, True])
    moved = with_movement(FeatureSequence(values=values, real=real))
    deviation = moved.values[:, MEASURED_SPEC.names.index("deviation_energy")]
    change = moved.values[:, MEASURED_SPEC.names.index("change_energy")]
    np.testing.assert_allclose(deviation, [2.0, 0.0, 0.0, 3.0, 1.0])
    np.testing.assert_allclose(change, [0.0, 2.0, 0.0, 0.0, 4.0])
    np.testing.assert_array_equal(moved.values[:, :FRAME_DIMS], values)


def test_each_real_step_carries_the_state_of_the_utterance() -> None:
    values = np.ones((4, MEASURED_SPEC.dims), np.float32)
    real = np.array([True, False, True, True])
    values[~real] = 0.0
    state = np.arange(1, STATES + 1, dtype=np.float32)
    steps = FeatureSequence(values=values, real=real)
    made = with_states(steps, state)
    assert made.values.dtype == np.float32
    np.testing.assert_array_equal(made.real, real)
    np.testing.assert_array_equal(made.values[:, : MEASURED_SPEC.dims], values)
    for row, observed in zip(made.values[:, MEASURED_SPEC.dims :], real, strict=True):
        np.testing.assert_array_equal(row, state if observed else np.zeros(STATES))
    with pytest.raises(DataError, match="81 features a step"):
        with_states(steps, state[:1])


OWN_BITS = """
import hashlib
import numpy as np
from dashfusion_models.features.audio import AudioExtractor
noise = 0.1 * np.random.default_rng(0).standard_normal(32_000, np.float32)
frames = AudioExtractor().frames(noise)
print(hashlib.sha256(frames[0 : len(frames)].tobytes()).hexdigest())
"""


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    found = {printed_with(threads, OWN_BITS) for threads in ("1", "2", "3")}
    assert len(found) == 1


def test_loudness_alone_is_that_of_the_frames() -> None:
    seconds = np.arange(int(2.503 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * 150 * seconds) * np.abs(np.sin(3 * seconds))
    samples = tone.astype(np.float32)
    frames = AudioExtractor().frames(samples)
    expected = frames[0 : len(frames)][:, ENERGY]
    np.testing.assert_allclose(loudness(samples, 0, len(frames)), expected, atol=1e-3)
    np.testing.assert_allclose(loudness(samples, 90, 101), expected[90:101], atol=1e-3)
    assert not len(loudness(samples, 5, 5))


def test_digital_silence_is_described_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_module, "BLOCK_FRAMES", 200)
    pause = np.zeros(24 * SAMPLE_RATE_HZ, np.float32)
    samples = np.concatenate([melody(), pause, melody(1.3)])
    described, describe = [], audio_module._describe

    def counting(heard: np.ndarray) -> np.ndarray:
        described.append(heard.any())
        return describe(heard)

    monkeypatch.setattr(audio_module, "_describe", counting)
    rows = AudioExtractor().frames(samples)[:]
    assert described.count(np.False_) == 1
    blocks = range(0, len(rows), 200)
    one_by_one = [
        describe(audio_module._padded(samples, b - 50, min(len(rows), b + 200) + 50))[50:-50]
        for b in blocks
    ]
    np.testing.assert_allclose(rows, np.concatenate(one_by_one)[: len(rows)], atol=1e-3)
