"""The pictures of a file: upright, square-pixelled RGB, about ten a second, each with its time."""

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import UInt8

from dashfusion_models.closing import Closing
from dashfusion_models.errors import ConfigError, MediaError
from dashfusion_models.media.bounds import FULL_PIXELS, pixel_shape
from dashfusion_models.media.source import MediaSource
from dashfusion_models.records import Frame

__all__ = ["LONGER_SIDE", "FrameReader", "first_size", "read_image"]

LONGER_SIDE = 480

_TICK_SLACK_S = 1e-3  # containers round their time stamps, Matroska to milliseconds
_HD_HEIGHT = 720  # unlabelled video from here on is BT.709, below it BT.601, as players assume
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED

# ((a, b), (c, d)): the point (x, y) of the stored picture is shown at (a x + c y, b x + d y).
_Turn = tuple[tuple[int, int], tuple[int, int]]
_UPRIGHT: _Turn = ((1, 0), (0, 1))
_QUARTERS: tuple[_Turn, ...] = (  # by counter-clockwise quarter turns
    _UPRIGHT,
    ((0, -1), (1, 0)),
    ((-1, 0), (0, -1)),
    ((0, 1), (-1, 0)),
)
_EXIF_TURNS: dict[int, _Turn] = {
    1: _UPRIGHT,
    2: ((-1, 0), (0, 1)),
    3: _QUARTERS[2],
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: _QUARTERS[3],
    7: ((0, -1), (-1, 0)),
    8: _QUARTERS[1],
}
_EXIF_MARK, _EXIF_WITHIN, _ORIENTATION_TAG = b"Exif\0\0", 1 << 16, 0x0112

Pixels = UInt8[np.ndarray, "height width 3"]


class FrameReader(Closing):
    """The frames of a file in order of time, at most `frames_per_second` of them a second.

    The first frame at or after each tick of the clock is taken, whatever the file's own rate, and
    never twice; without a rate, every frame. Each iteration reads the file anew. A file without
    pictures has no frames.
    """

    def __init__(
        self,
        path: Path,
        frames_per_second: float | None = 10.0,
        longer_side: int | None = LONGER_SIDE,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> None:
        """Prepare to read `path` from `start_s` (inside) to `end_s` (outside).

        Without a `longer_side` frames have their full size.

        Raises:
            ConfigError: a rate or size of nothing.
        """
        none_of_it = frames_per_second is not None and not frames_per_second > 0
        if none_of_it or (longer_side is not None and longer_side < 1):
            raise ConfigError(
                f"frames: {frames_per_second} a second, {longer_side} pixels; both must be above 0"
            )
        self._path = path
        self._rate = frames_per_second
        self._longer_side = longer_side
        self._start_s = start_s
        self._end_s = end_s
        self._source: MediaSource | None = None

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            MediaError: the file cannot be read.
        """
        self.close()
        with MediaSource(self._path) as source:
            self._source = source
            last_s, due_s = -math.inf, self._start_s
            turns = _Turns(source)
            decoded = source.frames("video", start_s=self._start_s, end_s=self._end_s)
            for seconds, picture in decoded:
                if seconds < due_s - _TICK_SLACK_S or seconds <= last_s:
                    continue
                assert isinstance(picture, VideoFrame)  # `frames` gave what was asked for
                if self._rate is not None:
                    tick = math.floor((seconds + _TICK_SLACK_S - self._start_s) * self._rate) + 1
                    due_s = self._start_s + tick / self._rate
                last_s = seconds
                look = _Look(picture, turns)
                pixels = look.scaled(self._longer_side) if self._longer_side else look.full()
                yield Frame(seconds, pixels, look.full)
                look.release()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong in the latest iteration, such as a file that breaks off."""
        return tuple(self._source.warnings) if self._source is not None else ()

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        if self._source is not None:
            self._source.close()


def read_image(path: Path) -> Frame:
    """Read a still image, turned as its EXIF orientation says; of an animation, the first picture.

    Raises:
        MediaError: the file cannot be read or holds no picture.
    """
    with MediaSource(path) as source:
        look = _first(source)
        if look is None:
            raise MediaError(f"{path}: no picture in it can be read; check that it opens elsewhere")
        return Frame(0.0, look.scaled(LONGER_SIDE), look.full)


def first_size(source: MediaSource) -> tuple[int, int] | None:
    """Return width and height as a player shows the first picture, None where none is readable."""
    look = _first(source)
    return look.size if look is not None else None


def _first(source: MediaSource) -> "_Look | None":
    with closing(source.frames("video")) as frames:
        for _, picture in frames:
            assert isinstance(picture, VideoFrame)
            return _Look(picture, _Turns(source))
    return None


class _Turns:
    """How the pictures of a source are meant to be seen.

    A display matrix is read once for each rotation that occurs, not for each picture: PyAV ties a
    picture to its side data in a circle, which keeps the whole picture until a garbage collection.
    """

    def __init__(self, source: MediaSource) -> None:
        stream = source.video
        self.pixel_shape = pixel_shape(stream)
        self._exif = _exif_turn(source.path) if source.is_still else None
        self._known: dict[int, _Turn] = {}

    def of(self, picture: VideoFrame) -> _Turn:
        """Return the turn of a picture."""
        if self._exif is not None:
            return self._exif
        rotation = picture.rotation
        if rotation not in self._known:
            self._known[rotation] = _turn_of(picture)
        return self._known[rotation]


class _Look:
    """A decoded picture and how it is meant to be seen."""

    def __init__(self, picture: VideoFrame, turns: _Turns) -> None:
        self._picture: VideoFrame | None = picture
        self._turn = turns.of(picture)
        self._width = max(1, round(picture.width * turns.pixel_shape))
        self._height = picture.height

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, upright."""
        (a, _), (c, _) = self._turn
        return (self._height, self._width) if c and not a else (self._width, self._height)

    def scaled(self, longer_side: int) -> Pixels:
        """Return the picture shrunk to `longer_side`, never enlarged."""
        return self._render(min(1.0, longer_side / max(self._width, self._height)))

    def full(self) -> Pixels:
        """Return the picture at its full size; one of more than 52 megapixels shrunk to that."""
        return self._render(min(1.0, math.sqrt(FULL_PIXELS / (self._width * self._height))))

    def release(self) -> None:
        """Give back the memory of the decoded picture: lists of frames must not keep them all."""
        self._picture = None

    def _render(self, scale: float) -> Pixels:
        if self._picture is None:
            raise RuntimeError("Frame.full() comes too late: the next frame was taken already")
        width, height = round(self._width * scale), round(self._height * scale)
        rgb = self._picture.reformat(
            width=max(1, width),
            height=max(1, height),
            format="rgb24",
            interpolation="AREA" if scale < 1 else "BICUBIC",
            src_colorspace=_colorspace(self._picture),
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        pixels = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
        (a, b), (c, d) = self._turn
        if c and not a:  # rows become columns
            pixels, a, d = pixels.transpose(1, 0, 2), c, b
        return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _colorspace(picture: VideoFrame) -> Colorspace | None:
    """Return the colours' meaning where the file leaves it open, else None."""
    if picture.colorspace != _UNSPECIFIED or picture.format.is_rgb:
        return None
    return Colorspace.ITU709 if picture.height >= _HD_HEIGHT else Colorspace.ITU601


def _turn_of(picture: VideoFrame) -> _Turn:
    """Return the display matrix, rounded to quarter turns and mirrors."""
    try:
        matrix = cast(Mapping[Type, Buffer], picture.side_data).get(Type.DISPLAYMATRIX)
    except ValueError:  # a kind of side data that PyAV does not know yet hides all the others
        return _QUARTERS[round(picture.rotation / 90) % 4]
    if matrix is None:
        return _UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    if abs(a) >= abs(b):
        return (-1 if a < 0 else 1, 0), (0, -1 if d < 0 else 1)
    return (0, -1 if b < 0 else 1), (-1 if c < 0 else 1, 0)


def _exif_turn(path: Path) -> _Turn | None:
    """Return what the EXIF orientation of a photograph asks for, None where it has none."""
    with path.open("rb") as file:
        head = file.read(_EXIF_WITHIN)
    tiff = head[head.find(_EXIF_MARK) + len(_EXIF_MARK) :] if _EXIF_MARK in head else b""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for index in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + 12 * index)
            if tag == _ORIENTATION_TAG:
                return _EXIF_TURNS.get(value)
    except struct.error:  # cut off or nonsense: as if it were not there
        return None
    return None
