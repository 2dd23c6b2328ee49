"""What befalls a voice between a mouth and a file, done to clean recordings.

Sound is mono at 16 kHz. Every function but `as_mp3` returns samples; what is drawn comes from the
generator that is given.
"""

from __future__ import annotations

import io
from collections.abc import Collection

import numpy as np
import soundfile
from jaxtyping import Float, Float32
from scipy import fft, ndimage, signal

from dashfusion_models.records import SAMPLE_RATE_HZ, Samples

__all__ = [
    "CHANCES",
    "NOISES",
    "as_mp3",
    "impulse_response",
    "noise",
    "rough_voice",
    "speech_power",
    "with_noise",
    "with_speed",
]

# How often each befalls a voice, in the order in which it would.
CHANCES = {
    "speed": 0.3,
    "room": 0.4,
    "noise": 0.6,
    "band": 0.25,
    "level": 0.25,
    "clipping": 0.15,
    "codec": 0.4,
}
NOISES = ("white", "pink", "speech")

SPEED_PERCENT = (92, 108)
RT60_S = (0.2, 0.8)
DIRECT_DB = (0.0, 10.0)  # the direct sound over all that comes after it
SNR_DB = (5.0, 25.0)
TELEPHONE_HZ = (300.0, 3400.0)
MICROPHONE_LOW_HZ, MICROPHONE_HIGH_HZ = (100.0, 250.0), (4500.0, 7000.0)
PEAK_DB = (-30.0, -1.0)
CLIPPED_SHARE = (0.002, 0.02)  # of the samples
COMPRESSION = (0.5, 0.99)  # 22 to 11 kbit/s; libsndfile refuses 1
CLEAN_COMPRESSION = 0.0  # about 60 kbit/s at this rate
HIGHEST_PEAK = 0.97

FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
SPEECH_RANGE = 1e-3  # speech is what lies less than 30 dB below the loudest frame
FIRST_ECHO_SAMPLES = SAMPLE_RATE_HZ // 500  # 2 ms: a wall or a table a third of a metre away
SMOOTH_HZ = 100.0  # wider than the harmonics of a voice, narrower than its formants
LOWEST_HZ = 20.0  # pink noise rises no more below

Range = tuple[float, float]
Played = Float32[np.ndarray, " played"]  # as Samples, of another length


def rough_voice(
    samples: Samples, kinds: Collection[str], draw: np.random.Generator
) -> tuple[Played, float]:
    """What is left of a voice after `kinds` of CHANCES, and the compression for `as_mp3`."""
    if "speed" in kinds:
        low, high = SPEED_PERCENT
        samples = with_speed(samples, int(draw.integers(low, high + 1)))
    if "room" in kinds:
        response = impulse_response(draw.uniform(*RT60_S), draw.uniform(*DIRECT_DB), draw)
        samples = _samples(signal.fftconvolve(samples, response)[: samples.size])
    if "noise" in kinds:
        colour = str(draw.choice(NOISES))
        samples = with_noise(samples, noise(colour, samples, draw), draw.uniform(*SNR_DB))
    if "band" in kinds:
        samples = _in_band(samples, _band_hz(draw))
    if "level" in kinds:
        samples = _at_peak(samples, 10 ** (draw.uniform(*PEAK_DB) / 20))
    if "clipping" in kinds:
        limit = np.quantile(np.abs(samples), 1 - draw.uniform(*CLIPPED_SHARE))
        samples = _samples(np.clip(samples, -limit, limit))
    if np.abs(samples).max() > HIGHEST_PEAK:
        samples = _at_peak(samples, HIGHEST_PEAK)
    return samples, draw.uniform(*COMPRESSION) if "codec" in kinds else CLEAN_COMPRESSION


def with_speed(samples: Samples, percent: int) -> Played:
    """Play at `percent` of the speed, as a tape: faster is shorter and higher."""
    return _samples(signal.resample_poly(samples, 100, percent))


def impulse_response(
    rt60_s: float, direct_db: float, draw: np.random.Generator
) -> Float[np.ndarray, " t"]:
    """The direct sound, which is 1, then noise that has fallen by 60 dB after `rt60_s`.

    The direct sound has `direct_db` more energy than all the rest.

    Source: Polack, La transmission de l'énergie sonore dans les salles, 1988.
    """
    seconds = np.arange(round(rt60_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = draw.standard_normal(seconds.size) * 10 ** (-3 * seconds / rt60_s)
    tail *= np.sqrt(10 ** (-direct_db / 10) / np.sum(tail**2))
    response = np.concatenate([np.zeros(FIRST_ECHO_SAMPLES), tail])
    response[0] = 1.0
    return response


def noise(colour: str, samples: Samples, draw: np.random.Generator) -> Samples:
    """Noise as long as `samples`, of any power; that of colour "speech" has their spectrum."""
    hz = fft.rfftfreq(samples.size, 1 / SAMPLE_RATE_HZ)
    if colour == "white":
        shape = np.ones_like(hz)
    elif colour == "pink":
        shape = 1 / np.sqrt(np.maximum(hz, LOWEST_HZ))
    else:
        bins = max(1, round(SMOOTH_HZ * samples.size / SAMPLE_RATE_HZ))
        shape = ndimage.uniform_filter1d(np.abs(fft.rfft(samples.astype(np.float64))), bins)
    white = fft.rfft(draw.standard_normal(samples.size))
    return _samples(fft.irfft(white * shape, samples.size))


def with_noise(samples: Samples, added: Samples, snr_db: float) -> Samples:
    """Add noise so that the speech lies `snr_db` above it; silence stays silent."""
    power = np.mean(added.astype(np.float64) ** 2)
    wanted = speech_power(samples) / 10 ** (snr_db / 10)
    return _samples(samples + added * np.sqrt(wanted / power)) if power else samples


def speech_power(samples: Samples) -> float:
    """Mean power while somebody speaks: pauses have no say."""
    padded = np.pad(samples.astype(np.float64), (0, -samples.size % FRAME_SAMPLES))
    power = np.mean(padded.reshape(-1, FRAME_SAMPLES) ** 2, axis=1)
    return float(power[power >= SPEECH_RANGE * power.max()].mean())


def as_mp3(samples: Samples, compression: float) -> bytes:
    """The samples as an MP3 file; `compression` lies in [0, 1)."""
    file = io.BytesIO()
    with soundfile.SoundFile(
        file,
        "w",
        samplerate=SAMPLE_RATE_HZ,
        channels=1,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=compression,
        bitrate_mode="VARIABLE",  # a constant low rate loses the encoder's delay: 69 ms more
    ) as sound:
        sound.write(samples)
    return file.getvalue()


def _band_hz(draw: np.random.Generator) -> Range:
    """A telephone's band, or one of a cheap microphone."""
    if draw.random() < 0.5:
        return TELEPHONE_HZ
    return draw.uniform(*MICROPHONE_LOW_HZ), draw.uniform(*MICROPHONE_HIGH_HZ)


def _in_band(samples: Samples, band_hz: Range) -> Samples:
    sections = signal.butter(4, band_hz, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return _samples(signal.sosfilt(sections, samples))


def _at_peak(samples: Samples, peak: float) -> Samples:
    highest = np.abs(samples).max()
    return _samples(samples * (peak / highest)) if highest else samples


def _samples(values: np.ndarray) -> Samples:
    return values.astype(np.float32)
