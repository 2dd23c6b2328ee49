"""Files that are cut or overwritten in the middle: what is whole is kept, what is not is told."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dashfusion_models.media import FrameReader, probe, read_sound
from dashfusion_models.records import SAMPLE_RATE_HZ

SECONDS, PICTURES_A_SECOND = 40, 10
FORMATS = [("a.mkv", "aac"), ("b.mkv", "libopus"), ("a.mp4", "aac"), ("a.ts", "aac")]


def tone_of(second: int) -> float:
    """Each second has a tone of its own, so that sound tells its time."""
    return 300.0 + 40.0 * second


def written(path: Path, codec: str) -> Path:
    """Noisy pictures and a rising scale of tones."""
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    draw = np.random.default_rng(0)
    times = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    with av.open(str(path), "w", options=options) as output:
        sound = output.add_stream(codec, rate=SAMPLE_RATE_HZ, layout="mono")
        video = output.add_stream("mpeg4", rate=PICTURES_A_SECOND)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        kind = sound.codec_context.format.name
        resampler = av.AudioResampler(format=kind, layout="mono", rate=SAMPLE_RATE_HZ)
        for second in range(SECONDS):
            tone = 0.4 * np.sin(2 * np.pi * tone_of(second) * times)
            for k in range(PICTURES_A_SECOND):
                pixels = draw.integers(0, 255, (48, 64, 3), dtype=np.uint8)
                picture = av.VideoFrame.from_ndarray(pixels).reformat(format="yuv420p")
                picture.pts = second * PICTURES_A_SECOND + k
                picture.time_base = Fraction(1, PICTURES_A_SECOND)
                output.mux(video.encode(picture))
                part = tone[k * 1600 : (k + 1) * 1600].astype(np.float32)[np.newaxis]
                frame = av.AudioFrame.from_ndarray(part, format="flt", layout="mono")
                frame.sample_rate, frame.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
                frame.pts = second * SAMPLE_RATE_HZ + k * 1600
                for ready in resampler.resample(frame):
                    output.mux(sound.encode(ready))
        output.mux([*video.encode(None), *sound.encode(None)])
    return path


def right_seconds(samples: np.ndarray) -> set[int]:
    """The seconds that hold their own tone."""
    found = set()
    for second in range(len(samples) // SAMPLE_RATE_HZ):
        middle = samples[second * SAMPLE_RATE_HZ + 4000 :][:8000]
        power = np.abs(np.fft.rfft(middle))
        loudest_hz = power.argmax() * SAMPLE_RATE_HZ / len(middle)
        if power.max() > 200 and abs(loudest_hz - tone_of(second)) < 10:
            found.add(second)
    return found


@pytest.mark.parametrize(("name", "codec"), FORMATS[:3])
def test_what_comes_before_a_cut_is_kept(name: str, codec: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, codec)
    assert right_seconds(read_sound(path).samples) == set(range(SECONDS))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sound = read_sound(path)
    assert set(range(17)) <= right_seconds(sound.samples)
    told = f"the file ends early: sound could be read up to {sound.seconds:.1f} s"
    assert sound.warnings[0] == told
    with FrameReader(path) as reader:
        times = [frame.seconds for frame in reader]
        assert len(times) >= 17 * PICTURES_A_SECOND
        assert "the file ends early: pictures could be read up to" in reader.warnings[0]


@pytest.mark.parametrize(("name", "codec"), FORMATS)
@pytest.mark.parametrize("filled", ["noise", "zeros"])
def test_what_lies_around_a_hole_is_kept(
    name: str, codec: str, filled: str, tmp_path: Path
) -> None:
    path = written(tmp_path / name, codec)
    whole, size = path.read_bytes(), path.stat().st_size
    hole = bytes(size // 5)
    if filled == "noise":
        hole = np.random.default_rng(1).integers(0, 255, size // 5, dtype=np.uint8).tobytes()
    start = size * 2 // 5
    path.write_bytes(whole[:start] + hole + whole[start + len(hole) :])
    probe(path)
    sound = read_sound(path)
    right = right_seconds(sound.samples)
    assert set(range(14)) <= right
    if (name, filled) != ("a.ts", "zeros"):  # FFmpeg takes them for the end of the stream
        assert set(range(28, SECONDS - 1)) <= right
        gap = next(w for w in sound.warnings if w.startswith("no sound in the file from"))
        assert 14.0 < float(gap.split()[6]) < 17.0
    assert sound.warnings
    times = [frame.seconds for frame in FrameReader(path)]
    assert len(times) >= 14 * PICTURES_A_SECOND and np.isfinite(times).all()
