from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dashfusion_models.errors import MediaError
from dashfusion_models.media import FrameReader, probe, read_sound, small_copy

RATE_HZ = 48_000


def written(path: Path, *, seconds: float = 6.0, pictures: bool = True, sound: bool = True) -> Path:
    """Pictures as bright as their second; sound as loud as its second."""
    with av.open(str(path), "w") as sink:
        if pictures:
            video = sink.add_stream("libx264", rate=Fraction(25))
            video.width, video.height, video.pix_fmt = 641 // 2 * 2, 360, "yuv420p"
        if sound:
            audio = sink.add_stream("aac", rate=RATE_HZ, layout="stereo")
        for number in range(round(25 * seconds) if pictures else 0):
            level = 20 + 30 * (number // 25)
            frame = av.VideoFrame.from_ndarray(np.full((360, 640, 3), level, np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            sink.mux(video.encode(frame))
        if pictures:
            sink.mux(video.encode(None))
        if sound:
            time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
            wave = (0.1 * np.floor(time + 1) * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
            piece = av.AudioFrame.from_ndarray(np.stack([wave, wave]), "fltp", "stereo")
            piece.sample_rate, piece.pts = RATE_HZ, 0
            sink.mux([*audio.encode(piece), *audio.encode(None)])
    return path


def copied(path: Path, **other: float) -> Path:
    copy = path.with_name("copy.mp4")
    copy.write_bytes(small_copy(path, **other))
    return copy


def test_a_copy_is_small_and_has_the_same_pictures_at_the_same_times(tmp_path: Path) -> None:
    told: list[float] = []
    source = written(tmp_path / "a.mp4")
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(small_copy(source, report=told.append))
    found = probe(copy)
    assert (found.width, found.height) == (320, 180)
    assert found.duration_s == pytest.approx(6.0, abs=0.15)
    assert told[-1] == pytest.approx(5.93, abs=0.1)
    for frame in FrameReader(copy, frames_per_second=None):
        wanted = 20 + 30 * int(frame.seconds + 0.02)
        assert abs(float(frame.pixels.mean()) - wanted) < 6, frame.seconds


def test_the_sound_of_a_copy_is_where_it_was(tmp_path: Path) -> None:
    samples = read_sound(copied(written(tmp_path / "a.mp4"))).samples
    for second in range(6):
        middle = samples[(10 * second + 4) * 1600 : (10 * second + 6) * 1600]
        assert float(np.abs(middle).max()) == pytest.approx(0.1 * (second + 1), rel=0.15)


def test_a_stretch_begins_at_zero(tmp_path: Path) -> None:
    copy = copied(written(tmp_path / "a.mp4"), start_s=2.0, end_s=4.0)
    assert probe(copy).duration_s == pytest.approx(2.0, abs=0.15)
    first = next(iter(FrameReader(copy)))
    assert float(first.pixels.mean()) == pytest.approx(80, abs=6)
    assert float(np.abs(read_sound(copy).samples[6400:9600]).max()) == pytest.approx(0.3, rel=0.15)


@pytest.mark.parametrize("kept", ["pictures", "sound"])
def test_what_a_file_lacks_its_copy_lacks(tmp_path: Path, kept: str) -> None:
    source = written(tmp_path / "a.mp4", pictures=kept == "pictures", sound=kept == "sound")
    found = probe(copied(source))
    assert (found.has_video, found.has_audio) == (kept == "pictures", kept == "sound")


def test_sides_are_even_however_narrow(tmp_path: Path) -> None:
    path = tmp_path / "narrow.mkv"
    with av.open(str(path), "w") as sink:
        video = sink.add_stream("ffv1", rate=10)
        video.width, video.height, video.pix_fmt = 2, 301, "bgr0"
        for _ in range(5):
            sink.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((301, 2, 3), np.uint8))))
        sink.mux(video.encode(None))
    found = probe(copied(path))
    assert (found.width, found.height) == (2, 300)


def test_what_is_no_media_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no media")
    with pytest.raises(MediaError, match=r"a\.mp4"):
        small_copy(path)
