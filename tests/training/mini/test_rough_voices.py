"""What befalls a voice is as much as it says, by measures of their own."""

from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.media import read_sound
from dashfusion_training.mini.rough_voices import (
    CHANCES,
    NOISES,
    as_mp3,
    impulse_response,
    noise,
    rough_voice,
    speech_power,
    with_noise,
    with_speed,
)

RATE_HZ = 16_000


def sine(hz: float, *, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def spoken(*, pause_s: float = 1.0) -> np.ndarray:
    """A second of a tone of power 0.125 between two pauses."""
    pause = np.zeros(round(pause_s * RATE_HZ), np.float32)
    return np.concatenate([pause, sine(200.0), pause])


def spectrum(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Mean power density in a band, of any scale."""
    hz = np.fft.rfftfreq(samples.size, 1 / RATE_HZ)
    return float(np.mean(np.abs(np.fft.rfft(samples))[(hz >= low_hz) & (hz < high_hz)] ** 2))


@pytest.mark.parametrize("pause_s", [0.0, 2.0])
def test_the_power_of_speech_leaves_pauses_out(pause_s: float) -> None:
    assert speech_power(spoken(pause_s=pause_s)) == pytest.approx(0.5**2 / 2, rel=1e-3)


@pytest.mark.parametrize("snr_db", [5.0, 25.0])
@pytest.mark.parametrize("colour", NOISES)
def test_speech_lies_as_far_above_the_noise_as_asked(colour: str, snr_db: float) -> None:
    voice = spoken()
    added = noise(colour, voice, np.random.default_rng(0))
    heard = with_noise(voice, added, snr_db)
    left = (heard - voice).astype(np.float64)
    measured = 10 * np.log10(0.125 / np.mean(left**2))
    assert measured == pytest.approx(snr_db, abs=0.05)


def test_silence_stays_silent() -> None:
    silence = np.zeros(RATE_HZ, np.float32)
    for colour in NOISES:
        added = noise(colour, silence, np.random.default_rng(0))
        assert not with_noise(silence, added, 5.0).any()
    heard, _ = rough_voice(silence, tuple(CHANCES), np.random.default_rng(0))
    assert not heard.any()


def test_colours_of_noise() -> None:
    draw = np.random.default_rng(0)
    voice = sine(1000.0, seconds=4.0) + sine(3000.0, seconds=4.0, amplitude=0.05)
    white, pink, speech = (noise(colour, voice, draw) for colour in ("white", "pink", "speech"))
    # Pink falls by 3 dB an octave: from 200 Hz to 3200 Hz four octaves, a factor of 16.
    bands = (190, 210), (3190, 3210)
    for heard, expected in ((white, 1.0), (pink, 16.0)):
        ratio = spectrum(heard, *bands[0]) / spectrum(heard, *bands[1])
        assert ratio == pytest.approx(expected, rel=0.3)
    strong, weak = spectrum(speech, 990, 1010), spectrum(speech, 2990, 3010)
    assert strong / weak == pytest.approx(100.0, rel=0.5)
    assert spectrum(speech, 5000, 6000) < 1e-3 * weak


@pytest.mark.parametrize("rt60_s", [0.2, 0.5, 0.8])
def test_a_room_dies_away_by_60_db_in_its_time(rt60_s: float) -> None:
    """Schroeder's backward integration (1965), the slope between -5 and -35 dB."""
    response = impulse_response(rt60_s, 3.0, np.random.default_rng(1))
    assert response[0] == 1.0
    direct, rest = response[:1], response[1:]
    assert 10 * np.log10(np.sum(direct**2) / np.sum(rest**2)) == pytest.approx(3.0, abs=0.1)
    left_db = 10 * np.log10(np.cumsum(rest[::-1] ** 2)[::-1] / np.sum(rest**2))
    used = (left_db <= -5) & (left_db >= -35)
    slope = np.polyfit(np.flatnonzero(used) / RATE_HZ, left_db[used], 1)[0]
    assert -60 / slope == pytest.approx(rt60_s, rel=0.1)


@pytest.mark.parametrize("percent", [92, 100, 108])
def test_speed_changes_length_and_pitch(percent: int) -> None:
    played = with_speed(sine(400.0, seconds=2.0), percent)
    assert played.size == pytest.approx(2 * RATE_HZ * 100 / percent, abs=1)
    hz = np.fft.rfftfreq(played.size, 1 / RATE_HZ)[np.abs(np.fft.rfft(played)).argmax()]
    assert hz == pytest.approx(400.0 * percent / 100, abs=0.6)


@pytest.mark.parametrize("kind", CHANCES)
def test_each_kind_changes_a_voice_and_keeps_it_in_range(kind: str) -> None:
    voice = noise("pink", spoken(), np.random.default_rng(0))
    voice = (0.9 * voice / np.abs(voice).max()).astype(np.float32)
    for seed in range(8):
        heard, compression = rough_voice(voice, [kind], np.random.default_rng(seed))
        assert np.abs(heard).max() <= 1.0 and heard.dtype == np.float32
        changed = heard.size != voice.size or bool((heard != voice).any())
        assert changed is (kind != "codec") or kind == "speed"  # 100 % is among the speeds
        assert (compression > 0) is (kind == "codec")


def test_a_band_keeps_the_middle_alone() -> None:
    voice = sine(30.0) + sine(1000.0) + sine(7800.0)
    for seed in range(8):
        heard, _ = rough_voice(voice / 3, ["band"], np.random.default_rng(seed))
        heard = heard[RATE_HZ // 2 :]
        middle = spectrum(heard, 995, 1005)
        assert spectrum(heard, 25, 35) < 1e-3 * middle
        assert spectrum(heard, 7795, 7805) < 0.1 * middle


def test_clipping_cuts_a_small_share_of_the_peaks() -> None:
    voice = (0.1 * np.random.default_rng(0).standard_normal(RATE_HZ)).astype(np.float32)
    heard, _ = rough_voice(voice, ["clipping"], np.random.default_rng(0))
    cut = np.abs(heard) < np.abs(voice)
    assert 0.001 < cut.mean() < 0.021
    assert np.abs(heard[cut]).min() == np.abs(heard).max()


def test_an_mp3_holds_the_voice_at_its_length_and_a_small_one_less_of_it(tmp_path: Path) -> None:
    voice = sine(440.0, seconds=2.0)
    path = tmp_path / "voice.mp3"
    sizes = []
    for compression in (0.0, 0.99):
        path.write_bytes(as_mp3(voice, compression))
        heard = read_sound(path).samples
        assert heard.size == voice.size
        error = (heard - voice)[RATE_HZ // 2 : -RATE_HZ // 2]
        assert np.mean(error**2) < 0.01 * 0.125
        sizes.append(path.stat().st_size)
    assert sizes[1] < sizes[0]
