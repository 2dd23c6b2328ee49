"""A few bytes of a header cannot make the reader take gigabytes or minutes."""

import struct
import subprocess
import sys
import wave
import zlib
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from dashfusion_models.errors import MediaError
from dashfusion_models.media import (
    FrameReader,
    bounds,
    moving_pictures,
    pictures,
    probe,
    read_image,
    read_sound,
)
from dashfusion_models.media.source import MediaSource

HUGE = 16_000
LEAST_MB = 200  # a picture of 16,000 x 16,000 takes more: 256 MB in grey


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@cache
def png(width: int, height: int, *, shape: tuple[int, int] | None = None, bits: int = 8) -> bytes:
    """A grey picture; its rows are zeros, which packs a large one into a few bytes."""
    row = bytes(1 + (width * bits + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    density = chunk(b"pHYs", struct.pack(">IIB", *shape, 0)) if shape else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + density + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    """A GIF of one pixel on a screen of any size."""
    screen = (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes([0, 0, 0, 9, 9, 9])
    )
    return screen + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\x00;"


def film(path: Path, sizes: Sequence[tuple[int, int]]) -> Path:
    """A film of grey pictures, each of its own size whatever the header says (64 x 48)."""
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for number, size in enumerate(sizes):
            packet = av.Packet(png(*size))
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = Fraction(1, 10), True
            sink.mux(packet)
    return path


def declared(path: Path, width: int, height: int) -> Path:
    """A film of raw pictures of 64 x 48 whose header says another size."""
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("rawvideo", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        sink.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        sink.mux(stream.encode(None))
    content = path.read_bytes()
    assert content.count(struct.pack(">HH", 64, 48)) == 1  # of the sample description
    path.write_bytes(content.replace(struct.pack(">HH", 64, 48), struct.pack(">HH", width, height)))
    return path


def wav(path: Path, rate: int, *, samples: int = 4000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * samples))
    return path


def huge_files(folder: Path) -> list[Path]:
    """A still, an animation and a film whose pictures are larger than any camera's."""
    still, animation = folder / "a.png", folder / "a.gif"
    still.write_bytes(png(HUGE, HUGE))
    animation.write_bytes(gif(HUGE, HUGE))
    return [still, animation, declared(folder / "a.mov", HUGE, HUGE)]


READ = """
import sys
from pathlib import Path
from dashfusion_models.errors import MediaError
from dashfusion_models.media import FrameReader, probe, read_image
def peak():  # of this program alone: what getrusage says begins with its parent's
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
for path in map(Path, sys.argv[1:]):
    for read in (probe, read_image, lambda path: list(FrameReader(path))):
        try:
            read(path)
        except MediaError:
            pass
print(peak() - before)
"""


def taken_mb(*paths: Path) -> float:
    """How much memory it takes to try and read files, in a process of its own."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of memory is measured on Linux")
    child = [sys.executable, "-c", READ, *map(str, paths)]
    kilobytes = int(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    return kilobytes / 1024


def test_huge_pictures_are_refused_in_one_line_that_says_why(tmp_path: Path) -> None:
    for path in huge_files(tmp_path):
        for read in (probe, read_image, lambda path: list(FrameReader(path))):
            with pytest.raises(MediaError, match="megapixels; make them smaller") as caught:
                read(path)
            assert "\n" not in str(caught.value)
            assert str(path) in str(caught.value)


def test_a_size_that_the_header_tells_is_named(tmp_path: Path) -> None:
    path = declared(tmp_path / "a.mov", 10_000, 10_000)
    with pytest.raises(MediaError, match="of 10000 x 10000 have more than 40 megapixels"):
        probe(path)


def test_huge_pictures_take_no_memory(tmp_path: Path) -> None:
    assert taken_mb(*huge_files(tmp_path)) < LEAST_MB


def test_a_huge_picture_inside_a_film_of_small_ones_is_left_out(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mov", [(64, 48), (HUGE, HUGE), (64, 48)])
    with MediaSource(path) as source:
        frames = [frame for _, frame in source.frames("video")]
        assert {(frame.width, frame.height) for frame in frames} == {(64, 48)}
        assert source.warnings[0].startswith("damaged pictures left out")
    assert taken_mb(path) < LEAST_MB


@pytest.mark.parametrize(
    ("width", "height", "bits", "still", "allowed"),
    [
        (7680, 4320, 8, False, True),  # 8K
        (8192, 4320, 8, False, True),
        (8192, 8192, 8, False, False),
        (16_320, 12_240, 8, True, True),  # the largest of a telephone
        (16_320, 12_240, 16, True, True),
        (16_000, 16_000, 8, True, False),
    ],
)
def test_what_cameras_write_is_not_refused(
    width: int, height: int, bits: int, still: bool, allowed: bool
) -> None:
    with av.open(str(Path("x.nut")), "w", format="null") as sink:
        stream = sink.add_stream("rawvideo", rate=25)
        stream.width, stream.height = width, height
        stream.pix_fmt = {8: "yuv420p", 16: "gray16le"}[bits]
        if allowed:
            bounds.require_size(Path("x"), stream, still=still)
        else:
            with pytest.raises(MediaError, match="megapixels"):
                bounds.require_size(Path("x"), stream, still=still)


@pytest.mark.parametrize(
    ("shape", "width"),
    [
        ((1, 1), 64),
        ((3, 2), 96),
        ((1, 2), 32),
        ((65_535, 1), 64),
        ((1, 65_535), 64),
        ((100, 1), 64),
    ],
)
def test_pixels_of_a_shape_that_cannot_be_are_square(
    shape: tuple[int, int], width: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(*shape)
        for grey in (10, 200):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8))
            sink.mux(stream.encode(picture))
        sink.mux(stream.encode(None))
    media, moving = probe(path), moving_pictures(path)
    assert (media.width, media.height) == (moving.width, moving.height) == (width, 48)
    assert {frame.full().shape for frame in FrameReader(path)} == {(48, width, 3)}


def test_a_still_with_a_density_of_nonsense_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(64, 48, shape=(1, 2**31 - 1)))
    assert (probe(path).width, probe(path).height) == (64, 48)
    assert read_image(path).pixels.shape == (48, 64, 3)


def test_the_full_size_of_a_large_photograph_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(640, 480))
    monkeypatch.setattr(pictures, "FULL_PIXELS", 320 * 240)
    frame = read_image(path)
    assert frame.full().shape == (240, 320, 3)
    assert (probe(path).width, probe(path).height) == (640, 480)


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31 - 1])
def test_sound_at_a_rate_that_cannot_be_is_refused(rate: int, tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", rate)
    for read in (probe, read_sound):
        with pytest.raises(MediaError, match=f"{rate} Hz lies outside 1 to 768 kHz; .*at 16 kHz"):
            read(path)


@pytest.mark.parametrize("rate", [1000, 4000, 96_000, 768_000])
def test_sound_at_a_rate_that_is_in_use_is_read(rate: int, tmp_path: Path) -> None:
    sound = read_sound(wav(tmp_path / "a.wav", rate))
    assert sound.seconds == pytest.approx(4000 / rate, abs=0.02)


@cache
def long_text(kind: bytes) -> bytes:
    """A chunk of 200 kB that says 200 MB."""
    return chunk(kind, b"about\0\0" + zlib.compress(bytes(200 << 20), 9))


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_texts_of_a_png_are_not_inflated(kind: bytes, tmp_path: Path) -> None:
    shown = png(64, 48)
    ihdr_end = shown.index(b"IHDR") + 4 + 13 + 4
    first = tmp_path / "first.png"
    first.write_bytes(shown[:ihdr_end] + long_text(kind) + shown[ihdr_end:])
    behind = tmp_path / "behind.png"  # what follows the end of a picture
    behind.write_bytes(shown + first.read_bytes())
    assert taken_mb(first, behind) < LEAST_MB
    for path in (first, behind):
        assert (probe(path).width, probe(path).height) == (64, 48)


def test_a_png_with_texts_shows_the_picture_that_it_has(tmp_path: Path) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    path = tmp_path / "picture.png"
    with av.open(str(path), "w", format="image2") as sink:
        stream = sink.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        sink.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
        sink.mux(stream.encode(None))
    content = path.read_bytes()
    middle = content.index(b"IDAT") - 4
    text = chunk(b"tEXt", b"Comment\0a text") + chunk(b"zTXt", b"a\0\0" + zlib.compress(b"more"))
    path.write_bytes(content[:middle] + text + content[middle:-12] + text + content[-12:])
    np.testing.assert_array_equal(read_image(path).pixels, picture)


HOSTILE = Path(__file__).parents[4] / "shared/hostile"
BROKE_IT_ONCE = (
    "png_sar2.png", "png_ztxt.png", "sar65535.mkv", "sar100_hd.mp4", "v16k16k.mp4",
    "png_16k_gray1.png", "gif_16k_2.gif", "w_2ghz.wav", "w_1hz_10h.wav",
)  # fmt: skip


@pytest.mark.skipif(not HOSTILE.is_dir(), reason="these files are not part of the project")
def test_what_broke_it_once_takes_little_memory() -> None:
    assert taken_mb(*(HOSTILE / name for name in BROKE_IT_ONCE)) < LEAST_MB
