"""Frames at their own times, upright, with square pixels and true colours."""

import gc
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from dashfusion_models.errors import ConfigError
from dashfusion_models.media import FrameReader, probe, read_image

TICK = Fraction(1, 1000)
# Corners of the upright picture: red, green above blue, white.
CORNERS = np.array([[[220, 30, 30], [30, 200, 30]], [[30, 30, 220], [230, 230, 230]]], np.uint8)


def corners(width: int, height: int) -> np.ndarray:
    return CORNERS.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


def grey(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def write(
    path: Path,
    shots: Iterable[tuple[float, np.ndarray]],
    *,
    codec: str = "libx264",
    keyframe_every: int = 12,
    setup: Callable[[av.VideoStream], None] = lambda stream: None,
) -> Path:
    """Write (seconds, upright RGB picture) pairs; `setup` changes the stream before it starts."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as output:
        stream = output.add_stream(codec, rate=30)
        stream.time_base = stream.codec_context.time_base = TICK
        stream.gop_size = keyframe_every
        for index, (seconds, picture) in enumerate(shots):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                setup(stream)
            shot = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture))
            large = picture.shape[0] >= 720
            frame = shot.reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709 if large else Colorspace.ITU601
            )
            frame.colorspace, frame.color_range = 2, 0  # unspecified, as in most files
            frame.pts, frame.time_base = round(seconds * 1000), TICK
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def numbered(times: Iterable[float]) -> list[tuple[float, np.ndarray]]:
    """Pictures whose grey level tells their number (mod 23)."""
    return [(seconds, grey(20 + 10 * (k % 23))) for k, seconds in enumerate(times)]


def number_of(pixels: np.ndarray) -> int:
    return round((float(pixels.mean()) - 20) / 10)


def corner_colours(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    rows, columns = [height // 4, 3 * height // 4], [width // 4, 3 * width // 4]
    return pixels[np.ix_(rows, columns)].astype(int)


@pytest.mark.parametrize("rate", [15, 24, 25, 30, 50, 60])
def test_a_steady_rate_is_thinned_to_ten_a_second(rate: int, tmp_path: Path) -> None:
    times = [k / rate for k in range(3 * rate)]
    path = write(tmp_path / "a.mp4", numbered(times))
    frames = list(FrameReader(path))
    seconds = np.array([frame.seconds for frame in frames])
    # By hand: the first frame at or after each tenth of a second.
    expected = sorted(
        {min(k for k in range(3 * rate + 9) if 10 * k >= rate * j) for j in range(30)}
    )
    expected = [k for k in expected if k < len(times)]
    np.testing.assert_allclose(seconds, [times[k] for k in expected], atol=1e-3)
    assert [number_of(frame.pixels) for frame in frames] == [k % 23 for k in expected]


def test_a_changing_rate_never_gives_a_picture_twice_nor_too_many(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    steps = np.concatenate([rng.uniform(0.015, 0.05, 60), rng.uniform(0.2, 0.9, 6), [0.02] * 40])
    times = np.round(np.concatenate([[0.0], np.cumsum(steps)]), 3)
    path = write(tmp_path / "a.mkv", numbered(times.tolist()))
    frames = list(FrameReader(path))
    chosen = [int(np.argmin(abs(times - frame.seconds))) for frame in frames]
    due, expected = 0.0, []
    for index, seconds in enumerate(times):
        if seconds >= due - 1e-3:
            expected.append(index)
            due = (np.floor((seconds + 1e-3) * 10) + 1) / 10
    assert chosen == expected
    assert [number_of(frame.pixels) for frame in frames] == [k % 23 for k in expected]
    assert len(frames) <= 10 * times[-1] + 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_a_window_begins_and_ends_where_it_should(name: str, tmp_path: Path) -> None:
    rate = 30 if name == "a.avi" else 25  # AVI has a fixed rate, that of the stream
    path = write(
        tmp_path / name,
        numbered(k / rate for k in range(12 * rate)),
        codec="mpeg4" if name == "a.avi" else "libx264",
        keyframe_every=100,
        setup=(lambda s: setattr(s.codec_context, "time_base", Fraction(1, 30)))
        if name == "a.avi"
        else (lambda s: None),
    )
    for start_s, end_s in [(0.0, 1.0), (3.0, 5.0), (7.4, 8.0), (11.0, None)]:
        window = list(FrameReader(path, start_s=start_s, end_s=end_s))
        assert window[0].seconds == pytest.approx(start_s, abs=1 / rate)
        assert window[-1].seconds < (end_s or 12.0)
        assert len(window) == pytest.approx(((end_s or 12.0) - start_s) * 10, abs=1)
        for frame in window:
            assert number_of(frame.pixels) == round(frame.seconds * rate) % 23


def test_frames_are_never_enlarged_and_full_size_is_there_until_the_next(tmp_path: Path) -> None:
    small = next(iter(FrameReader(write(tmp_path / "s.mp4", [(0.0, corners(64, 48))]))))
    assert small.pixels.shape == (48, 64, 3) and small.full().shape == (48, 64, 3)
    shots = [(k / 10, corners(1280, 720)) for k in range(3)]
    frames = iter(FrameReader(write(tmp_path / "l.mp4", shots)))
    large = next(frames)
    assert large.pixels.shape == (270, 480, 3) and large.full().shape == (720, 1280, 3)
    assert large.pixels.flags.c_contiguous and large.full().flags.c_contiguous
    next(frames)
    with pytest.raises(RuntimeError, match="comes too late"):
        large.full()


@pytest.mark.parametrize("size", [(320, 240), (1280, 720)])
def test_colours_are_those_that_were_filmed(size: tuple[int, int], tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [(0.0, corners(*size))])
    for pixels in (next(iter(FrameReader(path))).pixels, read_image(path).full()):
        np.testing.assert_allclose(corner_colours(pixels), CORNERS.astype(int), atol=6)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_and_mirrored_video_comes_upright(
    name: str, degrees: int, mirrored: bool, tmp_path: Path
) -> None:
    upright = corners(128, 64)
    stored = np.rot90(np.fliplr(upright) if mirrored else upright, -degrees // 90)
    path = write(
        tmp_path / name,
        [(0.0, stored), (0.1, stored)],
        setup=lambda stream: stream.set_display_rotation(degrees, hflip=mirrored),
    )
    frames = FrameReader(path, longer_side=64)
    for frame in frames:
        assert frame.pixels.shape == (32, 64, 3)
        np.testing.assert_allclose(corner_colours(frame.pixels), CORNERS.astype(int), atol=8)
        assert frame.full().shape == (64, 128, 3)
    info = probe(path)
    assert (info.width, info.height) == (128, 64)


@pytest.mark.parametrize(("shape", "width"), [(Fraction(16, 15), 77), (Fraction(1, 2), 36)])
def test_pixels_are_made_square(shape: Fraction, width: int, tmp_path: Path) -> None:
    def setup(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = shape

    path = write(tmp_path / "a.mp4", [(0.0, grey(100, 72, 58))], setup=setup)
    assert (probe(path).width, probe(path).height) == (width, 58)
    frame = next(iter(FrameReader(path)))
    assert frame.pixels.shape == frame.full().shape == (58, width, 3)


def test_a_player_s_facts_about_a_video(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [(k / 25, grey(90, 320, 180)) for k in range(50)])
    info = probe(path)
    assert (info.width, info.height, info.has_audio, info.has_video) == (320, 180, False, True)
    assert info.fps == pytest.approx(25.0, abs=0.2)
    assert info.duration_s == pytest.approx(2.0, abs=0.05)
    assert not info.is_image


def test_pictures_that_break_off_are_kept_with_a_warning(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    noise = [(k / 10, rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)) for k in range(100)]
    path = write(tmp_path / "a.mp4", noise, codec="mpeg4")
    with FrameReader(path) as reader:
        assert len(list(reader)) == 100 and reader.warnings == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with FrameReader(path) as reader:
        frames = list(reader)
        assert 40 <= len(frames) <= 60
        assert reader.warnings[0].startswith("the file ends early: pictures could be read up to")


def test_a_reader_can_be_left_early_and_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", numbered(k / 10 for k in range(20)))
    with FrameReader(path) as reader:
        for frame in reader:
            if frame.seconds > 0.5:
                break
        assert len(list(reader)) == 20
        running = iter(reader)
        next(running)
        reader.close()
        assert list(running) == []
    path.rename(tmp_path / "b.mp4")
    with pytest.raises(ConfigError, match="must be above 0"):
        FrameReader(path, frames_per_second=0.0)


IMAGES = {"a.jpg": "mjpeg", "a.png": "png", "a.bmp": "bmp", "a.webp": "libwebp", "a.gif": "gif"}
PIXEL_FORMATS = {"a.jpg": "yuvj420p", "a.webp": "yuv420p", "a.gif": "rgb8", "a.bmp": "bgr24"}


def write_images(path: Path, pictures: list[np.ndarray]) -> Path:
    muxer = "gif" if path.suffix == ".gif" else "image2"
    options = {} if muxer == "gif" else {"update": "1"}
    with av.open(str(path), "w", format=muxer, options=options) as output:
        stream = output.add_stream(IMAGES[path.name], rate=10)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = PIXEL_FORMATS.get(path.name, "rgb24")
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture)
            output.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", IMAGES)
def test_a_still_image(name: str, tmp_path: Path) -> None:
    path = write_images(tmp_path / name, [corners(640, 320)])
    frame = read_image(path)
    assert frame.seconds == 0.0 and frame.pixels.shape == (240, 480, 3)
    assert frame.full().shape == (320, 640, 3)
    coarse = 40 if name == "a.gif" else 8
    np.testing.assert_allclose(corner_colours(frame.pixels), CORNERS.astype(int), atol=coarse)
    info = probe(path)
    assert (info.is_image, info.has_video, info.has_audio) == (True, True, False)
    assert (info.duration_s, info.width, info.height, info.fps) == (0.0, 640, 320, None)


def test_a_moving_gif_is_a_video(tmp_path: Path) -> None:
    path = write_images(tmp_path / "a.gif", [grey(40 * k) for k in range(6)])
    info = probe(path)
    assert not info.is_image and info.duration_s == pytest.approx(0.6, abs=0.15)


STORED = {  # EXIF orientation: how an upright picture lies in the file
    1: lambda p: p,
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_photograph_is_turned_as_its_exif_says(
    orientation: int, order: str, tmp_path: Path
) -> None:
    stored = np.ascontiguousarray(STORED[orientation](corners(128, 64)))
    path = write_images(tmp_path / "a.jpg", [stored])
    values = (42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)  # one entry: orientation, a short
    tiff = (b"MM" if order == ">" else b"II") + struct.pack(f"{order}HIHHHIHHI", *values)
    segment = b"Exif\0\0" + tiff
    jpeg = path.read_bytes()
    app1 = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    path.write_bytes(jpeg[:2] + app1 + jpeg[2:])
    pixels = read_image(path).pixels
    assert pixels.shape == (64, 128, 3)
    np.testing.assert_allclose(corner_colours(pixels), CORNERS.astype(int), atol=8)
    assert (probe(path).width, probe(path).height) == (128, 64)


def test_decoded_pictures_do_not_pile_up(tmp_path: Path) -> None:
    """PyAV ties a picture to its side data in a circle, and x264 gives every picture some."""
    path = write(tmp_path / "many.mp4", numbered(i / 10 for i in range(40)))
    gc.collect()
    gc.disable()
    try:
        with FrameReader(path) as reader:
            assert sum(1 for _ in reader) == 40
        alive = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert alive <= 4  # the first one, whose display matrix was read; what the decoder holds


def test_every_picture_at_its_full_size(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.05, 0.5, 0.51]
    pictures = [(seconds, grey(10 * i, 640, 360)) for i, seconds in enumerate(times)]
    path = write(tmp_path / "uneven.mp4", pictures)
    with FrameReader(path, frames_per_second=None, longer_side=None) as reader:
        frames = [(frame.seconds, frame.pixels.shape) for frame in reader]
    assert [seconds for seconds, _ in frames] == pytest.approx(times, abs=1e-3)
    assert {shape for _, shape in frames} == {(360, 640, 3)}
