"""Sound at 16 kHz and what a file says of itself, against tones planted at known times."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dashfusion_models.errors import MediaError
from dashfusion_models.media import FrameReader, probe, read_sound
from dashfusion_models.records import SAMPLE_RATE_HZ

RATE_HZ = 48_000
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
LOSSLESS = "pcm_f32le"


def tone(hz: float, seconds: float, amplitude: float = 0.5, rate_hz: int = RATE_HZ) -> np.ndarray:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def silence(seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    return np.zeros(round(seconds * rate_hz), dtype=np.float32)


def write(
    path: Path,
    pieces: list[tuple[float, np.ndarray]],
    *,
    codec: str = LOSSLESS,
    rate_hz: int = RATE_HZ,
    picture_times: tuple[float, ...] = (),
    faststart: bool = False,
) -> Path:
    """Write (start in seconds, channels by samples) pieces, and grey pictures if asked."""
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as output:
        channels = np.atleast_2d(pieces[0][1]).shape[0]
        sound = output.add_stream(codec, rate=rate_hz, layout=LAYOUTS[channels])
        video = output.add_stream("mpeg4", rate=25) if picture_times else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            video.time_base = video.codec_context.time_base = Fraction(1, 1000)
            for seconds in picture_times:
                grey = np.full((48, 64, 3), 128, dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(grey).reformat(format="yuv420p")
                frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
                output.mux(video.encode(frame))
            output.mux(video.encode(None))
        resampler = av.AudioResampler(format=sound.codec_context.format)
        for start_s, samples in pieces:
            for first in range(0, np.atleast_2d(samples).shape[1], 1024):
                part = np.ascontiguousarray(np.atleast_2d(samples)[:, first : first + 1024])
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=LAYOUTS[channels])
                frame.sample_rate = rate_hz
                frame.pts, frame.time_base = round(start_s * rate_hz) + first, Fraction(1, rate_hz)
                for ready in resampler.resample(frame):
                    output.mux(sound.encode(ready))
        output.mux(sound.encode(None))
    return path


def amplitude(samples: np.ndarray, hz: float) -> float:
    """The amplitude of one frequency, by projection on it."""
    times = np.arange(samples.size) / SAMPLE_RATE_HZ
    return float(2 * abs(np.mean(samples * np.exp(-2j * np.pi * hz * times))))


def onset_s(samples: np.ndarray, start_s: float = 0.0) -> float:
    return start_s + float(np.argmax(np.abs(samples) > 0.1)) / SAMPLE_RATE_HZ


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_sample_k_is_at_k_over_16000_seconds(rate_hz: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", [(0.0, tone(440, 3.0, rate_hz=rate_hz))], rate_hz=rate_hz)
    sound = read_sound(path)
    assert sound.samples.dtype == np.float32 and sound.start_s == 0.0 and sound.warnings == ()
    assert abs(sound.samples.size - 48_000) <= 2
    expected = tone(440, 3.0, rate_hz=SAMPLE_RATE_HZ)[: sound.samples.size]
    inner = slice(200, -200)
    np.testing.assert_allclose(sound.samples[inner], expected[inner], atol=2e-3)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_every_sample_format_has_full_scale_at_one(codec: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", [(0.0, tone(440, 1.0, 0.8))], codec=codec)
    samples = read_sound(path).samples
    assert amplitude(samples[:16_000], 440) == pytest.approx(0.8, abs=0.01)
    assert abs(samples.mean()) < 0.006


def test_stereo_is_averaged(tmp_path: Path) -> None:
    both = np.stack([tone(400, 1.0, 0.8), tone(1000, 1.0, 0.2)])
    samples = read_sound(write(tmp_path / "a.wav", [(0.0, both)])).samples
    assert amplitude(samples[:16_000], 400) == pytest.approx(0.4, abs=2e-3)
    assert amplitude(samples[:16_000], 1000) == pytest.approx(0.1, abs=2e-3)


def test_opposite_channels_cancel_and_equal_ones_stay(tmp_path: Path) -> None:
    left = tone(400, 0.5, 0.9)
    opposite = read_sound(write(tmp_path / "a.wav", [(0.0, np.stack([left, -left]))]))
    equal = read_sound(write(tmp_path / "b.wav", [(0.0, np.stack([left, left]))]))
    assert np.abs(opposite.samples).max() < 1e-6
    assert amplitude(equal.samples[:8_000], 400) == pytest.approx(0.9, abs=2e-3)


def test_the_six_channels_of_surround_sound_count_alike(tmp_path: Path) -> None:
    planted = {300.0: 0.9, 500.0: 0.6, 700.0: 0.3, 1100.0: 0.5, 1300.0: 0.7, 1700.0: 0.2}
    six = np.stack([tone(hz, 1.0, loud) for hz, loud in planted.items()])
    samples = read_sound(write(tmp_path / "a.mkv", [(0.0, six)])).samples[:16_000]
    for hz, loud in planted.items():
        assert amplitude(samples, hz) == pytest.approx(loud / 6, abs=2e-3)


def test_too_loud_sound_is_cut_at_one_and_no_number_is_kept_out(tmp_path: Path) -> None:
    loud = tone(440, 1.0, 1.6)
    loud[24_000:24_010] = np.nan
    samples = read_sound(write(tmp_path / "a.wav", [(0.0, loud)])).samples
    assert np.isfinite(samples).all()
    assert samples.max() == 1.0 and samples.min() == -1.0


def test_sound_that_starts_after_the_pictures_keeps_its_time(tmp_path: Path) -> None:
    pictures = tuple(k / 25 for k in range(50))
    path = write(tmp_path / "a.mkv", [(0.7, tone(440, 1.0))], picture_times=pictures)
    samples = read_sound(path).samples
    assert onset_s(samples) == pytest.approx(0.7, abs=2e-3)
    assert not samples[: int(0.69 * SAMPLE_RATE_HZ)].any()
    assert next(iter(FrameReader(path))).seconds == 0.0


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4", "a.mov"])
def test_pictures_that_start_after_the_sound_keep_their_time(name: str, tmp_path: Path) -> None:
    codec = "aac" if name in ("a.ts", "a.mp4") else LOSSLESS
    planted = np.concatenate([silence(0.5), tone(440, 1.5)])
    pictures = tuple(0.5 + k / 25 for k in range(30))
    path = write(tmp_path / name, [(0.0, planted)], codec=codec, picture_times=pictures)
    first = next(iter(FrameReader(path)))
    lead_s = first.seconds - onset_s(read_sound(path).samples)
    assert abs(lead_s) < 5e-3  # lips and voice together
    assert first.seconds == pytest.approx(0.5, abs=0.025)


def test_a_gap_is_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", [(0.0, tone(440, 1.0)), (2.5, tone(880, 1.0))])
    samples = read_sound(path).samples
    assert samples.size == pytest.approx(3.5 * SAMPLE_RATE_HZ, abs=20)
    assert not samples[16_100:39_900].any()
    assert amplitude(samples[41_000:55_000], 880) == pytest.approx(0.5, abs=5e-3)


@pytest.mark.parametrize(("second_starts_s", "length_s"), [(1.5, 3.5), (0.0, 4.0)])
def test_an_overlap_is_dropped_and_after_a_new_clock_it_goes_on(
    second_starts_s: float, length_s: float, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.ts", [(0.0, tone(440, 2.0))], codec="aac")
    second = write(tmp_path / "b.ts", [(second_starts_s, tone(880, 2.0))], codec="aac")
    path.write_bytes(path.read_bytes() + second.read_bytes())
    samples = read_sound(path).samples
    assert samples.size / SAMPLE_RATE_HZ == pytest.approx(length_s, abs=0.1)
    assert amplitude(samples[1_600:30_400], 440) == pytest.approx(0.5, abs=0.02)
    assert amplitude(samples[35_200:54_400], 880) == pytest.approx(0.5, abs=0.02)


def test_jitter_of_the_time_stamps_makes_no_holes(tmp_path: Path) -> None:
    whole = tone(440, 2.0)
    rng = np.random.default_rng(3)
    starts = range(0, whole.size, 4096)
    pieces = [(s / RATE_HZ + rng.uniform(0, 0.02), whole[s : s + 4096]) for s in starts]
    samples = read_sound(write(tmp_path / "a.mkv", pieces)).samples
    assert amplitude(samples[1_600:30_400], 440) == pytest.approx(0.5, abs=5e-3)


FORMATS = [
    ("a.wav", "pcm_s16le"),
    ("a.mkv", "pcm_s16le"),
    ("a.mp4", "aac"),
    ("a.webm", "libopus"),
    ("a.ogg", "libopus"),
    ("a.mp3", "libmp3lame"),
    ("a.flac", "flac"),
    ("a.ts", "aac"),
]


@pytest.mark.parametrize(("name", "codec"), FORMATS)
def test_a_window_holds_what_is_at_its_time(name: str, codec: str, tmp_path: Path) -> None:
    planted = np.concatenate([silence(6.0), tone(440, 0.5), silence(3.5)])
    path = write(tmp_path / name, [(0.0, planted)], codec=codec)
    whole = read_sound(path).samples
    # A transport stream says nothing of the 21 ms that AAC puts before the first sound.
    assert onset_s(whole) == pytest.approx(6.0, abs=0.03 if name == "a.ts" else 0.01)
    for start_s, end_s in [(5.3, 7.0), (5.9, 6.4), (0.2, 6.3)]:
        window = read_sound(path, start_s=start_s, end_s=end_s)
        assert window.start_s == start_s
        assert window.samples.size == pytest.approx((end_s - start_s) * SAMPLE_RATE_HZ, abs=1)
        # Matroska rounds its time stamps to milliseconds.
        assert onset_s(window.samples, start_s) == pytest.approx(onset_s(whole), abs=1.5e-3)
    rest = read_sound(path, start_s=6.2).samples
    assert rest.size == pytest.approx(whole.size - 6.2 * SAMPLE_RATE_HZ, abs=20)
    assert amplitude(rest[:3_200], 440) == pytest.approx(0.5, abs=0.03)
    assert read_sound(path, start_s=60.0).samples.size == 0


def test_pictures_without_sound_give_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        for _ in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), dtype=np.uint8))
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    info = probe(path)
    assert (info.has_audio, info.has_video, info.is_image) == (False, True, False)
    assert read_sound(path).samples.shape == (0,) and read_sound(path).warnings == ()


def test_sound_without_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", [(0.0, tone(440, 2.0))])
    info = probe(path)
    assert (info.has_audio, info.has_video, info.is_image) == (True, False, False)
    assert (info.width, info.height, info.fps) == (None, None, None)
    assert info.duration_s == pytest.approx(2.0, abs=1e-3)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(FrameReader(path)) == []


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=RATE_HZ, layout="mono")
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), dtype=np.uint8))))
        frame = av.AudioFrame.from_ndarray(tone(440, 1.0)[None], format="fltp", layout="mono")
        frame.sample_rate = RATE_HZ
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    assert not probe(path).has_video and probe(path).has_audio
    assert list(FrameReader(path)) == []


def test_the_length_is_measured_where_the_file_states_none(tmp_path: Path) -> None:
    path = tmp_path / "live.webm"
    with open(path, "wb") as file:

        class Pipe:  # without seek: as browsers record, no length is written
            write = staticmethod(file.write)

        with av.open(Pipe(), "w", format="webm") as output:
            stream = output.add_stream("libopus", rate=RATE_HZ, layout="mono")
            frame = av.AudioFrame.from_ndarray(tone(440, 3.0)[None], format="flt", layout="mono")
            frame.sample_rate = RATE_HZ
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert container.duration is None
    assert probe(path).duration_s == pytest.approx(3.0, abs=0.03)
    assert read_sound(path).samples.size == pytest.approx(3.0 * SAMPLE_RATE_HZ, abs=500)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "aac"), ("a.wav", LOSSLESS)]
)
def test_sound_that_breaks_off_is_kept_with_a_warning(
    name: str, codec: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, [(0.0, tone(440, 20.0))], codec=codec, faststart=True)
    assert read_sound(path).warnings == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    sound = read_sound(path)
    length_s = sound.samples.size / SAMPLE_RATE_HZ
    assert 8.0 < length_s < 14.0
    assert amplitude(sound.samples[:96_000], 440) == pytest.approx(0.5, abs=0.02)
    assert sound.warnings[0] == f"the file ends early: sound could be read up to {length_s:.1f} s"


def test_an_index_at_the_end_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [(0.0, tone(440, 5.0))], codec="aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match="its index is missing; copy"):
        probe(path)


HOUR_S = 3600.0


def test_a_moment_of_sound_in_hours_of_nothing_is_refused(tmp_path: Path) -> None:
    beep = tone(440, 0.5)
    between = write(tmp_path / "between.mkv", [(0.0, beep), (40 * HOUR_S, beep)])
    with pytest.raises(MediaError, match=r"between.mkv: holds 1.0 s of sound in 40.0 h, .*; save"):
        read_sound(between)
    before = write(tmp_path / "before.mkv", [(2 * HOUR_S, beep)], picture_times=(0.0, 1.0))
    with pytest.raises(MediaError, match=r"before.mkv: holds 0.5 s of sound in 2.0 h, "):
        read_sound(before)
    assert read_sound(between, end_s=1.0).seconds == pytest.approx(0.5, abs=0.02)
    assert read_sound(before, start_s=2 * HOUR_S - 1).seconds == pytest.approx(1.5, abs=0.02)


def test_a_recording_with_a_long_break_is_kept_as_it_is(tmp_path: Path) -> None:
    speech = tone(440, 60.0, rate_hz=8_000)
    pieces = [(0.0, speech), (1.5 * HOUR_S, speech)]
    told: list[float] = []
    path = write(tmp_path / "a.mkv", pieces, rate_hz=8_000)
    sound = read_sound(path, report=told.append)
    assert told == [pytest.approx(60.0, abs=0.2), pytest.approx(120.0, abs=0.2)]
    assert sound.seconds == pytest.approx(1.5 * HOUR_S + 60.0, abs=0.02)
    assert sound.warnings == ("no sound in the file from 60.0 to 5400.0 s",)


def test_a_time_far_behind_the_end_of_the_file_is_not_believed(tmp_path: Path) -> None:
    """The last tag of a file of 3 s says 35 s: its sound follows what stands before it."""
    path = write(
        tmp_path / "a.flv",
        [(0.0, tone(440, 3.0, rate_hz=44_100))],
        codec="pcm_s16le",
        rate_hz=44_100,
    )
    whole = read_sound(path)
    content = bytearray(path.read_bytes())
    place, tags = 13, []
    while place < len(content):  # kind, size, time in ms
        tags.append(place)
        place += 11 + int.from_bytes(content[place + 1 : place + 4]) + 4
    last = [tag for tag in tags if content[tag] == 8][-1]
    content[last + 4 : last + 7] = (35_000).to_bytes(3)
    path.write_bytes(content)
    sound = read_sound(path)
    assert sound.seconds == pytest.approx(whole.seconds, abs=0.05)
    assert sound.warnings == whole.warnings == ()
